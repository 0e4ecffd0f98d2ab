"""Older import path of `friendli.httpclient`."""

from __future__ import annotations

from friendli.httpclient import AsyncHttpClient, ClientOwner, HttpClient, close_clients

__all__ = ["AsyncHttpClient", "ClientOwner", "HttpClient", "close_clients"]
