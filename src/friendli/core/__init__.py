"""Import paths that programs for the published client use: everything lives in `friendli`."""

from __future__ import annotations

from typing import Any

from friendli import models as models
from friendli._client import AsyncFriendli as AsyncFriendliCore
from friendli._client import SyncFriendli as SyncFriendliCore
from friendli._hooks import SDKConfiguration
from friendli._version import USER_AGENT, VERSION
from friendli.models import *  # noqa: F403

SERVERS = ["https://api.friendli.ai"]
OPENAPI_DOC_VERSION = "0.1.0"

__all__ = [
    "OPENAPI_DOC_VERSION",
    "SERVERS",
    "USER_AGENT",
    "VERSION",
    "AsyncFriendliCore",
    "SDKConfiguration",
    "SyncFriendliCore",
    "models",
    *models.__all__,
]


def __getattr__(name: str) -> Any:
    from friendli._absent import absent

    raise absent(__name__, name, frozenset({"SPEAKEASY_GENERATOR_VERSION"}))
