"""Older import path of the clients."""

from __future__ import annotations

from friendli._client import AsyncFriendli as AsyncFriendliCore
from friendli._client import SyncFriendli as SyncFriendliCore

__all__ = ["AsyncFriendliCore", "SyncFriendliCore"]
