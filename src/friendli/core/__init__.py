"""Import paths that programs for the published client use: everything lives in `friendli`."""

from __future__ import annotations

from friendli import models as models
from friendli._client import AsyncFriendli as AsyncFriendliCore
from friendli._client import SyncFriendli as SyncFriendliCore
from friendli._version import USER_AGENT, VERSION
from friendli.models import *  # noqa: F403

SERVERS = ["https://api.friendli.ai"]

__all__ = [
    "SERVERS",
    "USER_AGENT",
    "VERSION",
    "AsyncFriendliCore",
    "SyncFriendliCore",
    "models",
    *models.__all__,
]
