"""Import path that programs use for the classes of `dedicated.chat`."""

from __future__ import annotations

from friendli._chat import AsyncChat, AsyncRawChat, SyncChat, SyncRawChat

__all__ = ["AsyncChat", "AsyncRawChat", "SyncChat", "SyncRawChat"]
