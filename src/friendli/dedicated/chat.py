"""The classes of `dedicated.chat` under an import path that programs use."""

from __future__ import annotations

from friendli._chat import AsyncChat, SyncChat

__all__ = ["AsyncChat", "SyncChat"]
