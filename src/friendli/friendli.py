"""The clients under an import path that programs use."""

from __future__ import annotations

from friendli._client import AsyncFriendli, SyncFriendli

__all__ = ["AsyncFriendli", "SyncFriendli"]
