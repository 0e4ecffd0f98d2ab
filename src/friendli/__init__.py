"""Python client of Friendli Dedicated Chat.

    from friendli import SyncFriendli

    with SyncFriendli(token="...") as friendli:
        answer = friendli.dedicated.chat.complete(
            model="(endpoint-id)", messages=[{"role": "user", "content": "Hello!"}]
        )

Importing this package is cheap: each name is imported at its first use, and the HTTP library at
the first request.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from friendli._version import VERSION

if TYPE_CHECKING:
    from friendli import models, types, utils
    from friendli._client import AsyncFriendli, SyncFriendli
    from friendli._errors import (
        AnswerNotParsedError,
        AuthenticationError,
        BadRequestError,
        ClientClosedError,
        ConfigurationError,
        FriendliCoreError,
        FriendliError,
        HTTPValidationError,
        NoResponseError,
        NotCoveredError,
        NotFoundError,
        PermissionDeniedError,
        RateLimitError,
        RequestTooLargeError,
        ResponseTooLargeError,
        ResponseValidationError,
        SDKError,
        ServerError,
        StreamError,
        StreamIncompleteError,
        ToolLoopError,
        UnexpectedResponseError,
        UnprocessableEntityError,
    )
    from friendli._params import ChatParams
    from friendli._raw import RawResponse
    from friendli._streaming.stream import EventStream, EventStreamAsync
    from friendli._tools import ToolRun
    from friendli._transport.aiohttp import AiohttpClient as AiohttpClient
    from friendli._transport.network import (
        ConnectFailedError,
        DeadlineExceededError,
        NetworkError,
        RequestTimeoutError,
        ResponseStalledError,
    )
    from friendli._transport.parse import ParsedCompletion
    from friendli._transport.retry import BackoffStrategy, RetryConfig
    from friendli.types import UNSET

__all__ = [
    "UNSET",
    "VERSION",
    "AnswerNotParsedError",
    "AsyncFriendli",
    "AuthenticationError",
    "BackoffStrategy",
    "BadRequestError",
    "ChatParams",
    "ClientClosedError",
    "ConfigurationError",
    "ConnectFailedError",
    "DeadlineExceededError",
    "EventStream",
    "EventStreamAsync",
    "FriendliCoreError",
    "FriendliError",
    "HTTPValidationError",
    "NetworkError",
    "NoResponseError",
    "NotCoveredError",
    "NotFoundError",
    "ParsedCompletion",
    "PermissionDeniedError",
    "RateLimitError",
    "RawResponse",
    "RequestTimeoutError",
    "RequestTooLargeError",
    "ResponseStalledError",
    "ResponseTooLargeError",
    "ResponseValidationError",
    "RetryConfig",
    "SDKError",
    "ServerError",
    "StreamError",
    "StreamIncompleteError",
    "SyncFriendli",
    "ToolLoopError",
    "ToolRun",
    "UnexpectedResponseError",
    "UnprocessableEntityError",
    "models",
    "types",
    "utils",
]

_HOMES = {
    "UNSET": "types",
    "AsyncFriendli": "_client",
    "SyncFriendli": "_client",
    "BackoffStrategy": "_transport.retry",
    "RetryConfig": "_transport.retry",
    "AiohttpClient": "_transport.aiohttp",
    "EventStream": "_streaming.stream",
    "EventStreamAsync": "_streaming.stream",
    "ParsedCompletion": "_transport.parse",
    "ChatParams": "_params",
    "RawResponse": "_raw",
    "ToolRun": "_tools",
    "ConnectFailedError": "_transport.network",
    "DeadlineExceededError": "_transport.network",
    "NetworkError": "_transport.network",
    "RequestTimeoutError": "_transport.network",
    "ResponseStalledError": "_transport.network",
}
_MODULES = frozenset({"config", "core", "dedicated", "httpclient", "models", "types", "utils"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"friendli.{name}")
    if name not in __all__ and name not in _HOMES:
        from friendli._compat.absent import absent

        raise absent(__name__, name)
    try:
        value = getattr(import_module(f"friendli.{_HOMES.get(name, '_errors')}"), name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "friendli":
            _raise_if_mixture(error)
        raise
    globals()[name] = value
    return value


def _raise_if_mixture(error: ImportError) -> None:
    """Raise an error with the reason if files of this package are those of another."""
    from friendli._mixture import mixture

    sentence = mixture()
    if sentence is not None:
        raise ImportError(sentence, name=error.name) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
