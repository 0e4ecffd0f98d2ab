"""Older import path of the classes of `dedicated.chat`."""

from __future__ import annotations

from friendli._chat import AsyncChat as AsyncDedicatedChat
from friendli._chat import SyncChat as SyncDedicatedChat

__all__ = ["AsyncDedicatedChat", "SyncDedicatedChat"]
