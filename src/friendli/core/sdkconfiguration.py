"""Older import path of the configuration that hooks see."""

from __future__ import annotations

from friendli._compat.names import SERVERS
from friendli._transport.hooks import SDKConfiguration

__all__ = ["SERVERS", "SDKConfiguration"]
