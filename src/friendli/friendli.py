"""Import path that programs use for the clients."""

from __future__ import annotations

from friendli._client import AsyncFriendli, SyncFriendli

__all__ = ["AsyncFriendli", "SyncFriendli"]
