"""Import paths of the published client; the code is in `friendli`."""

from __future__ import annotations

from typing import Any

from friendli import models as models
from friendli._client import AsyncFriendli as AsyncFriendliCore
from friendli._client import SyncFriendli as SyncFriendliCore
from friendli._compat.names import OPENAPI_DOC_VERSION, SERVERS
from friendli._transport.hooks import SDKConfiguration
from friendli._version import USER_AGENT, VERSION
from friendli.models import *  # noqa: F403

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
    from friendli._compat.absent import absent

    raise absent(__name__, name)
