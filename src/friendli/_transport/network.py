"""Network errors: the HTTP library's errors, converted to the client's own.

A program may catch a failed connection in three ways, and all of them work on one object: as
`NetworkError`, as the builtin ConnectionError or TimeoutError, and, if it has imported httpx or
httpx2, as the corresponding class of that library (`httpx.ReadTimeout`). For the last, classes are
created at run time, once per combination; they pickle as their base.
"""

from __future__ import annotations

import sys
from typing import Any

from friendli._errors import NoResponseError


class NetworkError(NoResponseError, ConnectionError):
    """The connection failed, before or during the response.

    Attributes:
        kind: Name of the HTTP library's error class: ConnectError, ReadTimeout, ...
    """

    kind: str = "NetworkError"

    def __reduce__(self) -> tuple[Any, ...]:
        base = next(cls for cls in type(self).__mro__ if cls in _HINTS)
        return _unpickle, (base, self.kind, self.message)


class ConnectFailedError(NetworkError):
    """The connection to server_url failed: refused, unreachable, unknown host, or TLS error."""


class RequestTimeoutError(NetworkError, TimeoutError):
    """A phase of the exchange took longer than its timeout."""


_KINDS: dict[str, tuple[type[NetworkError], str]] = {
    "ConnectTimeout": (RequestTimeoutError, "the connection was not established in time"),
    "ReadTimeout": (RequestTimeoutError, "the server sent nothing for longer than the timeout"),
    "WriteTimeout": (RequestTimeoutError, "the server read the request too slowly"),
    "PoolTimeout": (RequestTimeoutError, "no connection of the pool became free in time"),
    "TimeoutException": (RequestTimeoutError, "timed out"),
    "ConnectError": (ConnectFailedError, "the connection could not be made"),
    "ProxyError": (ConnectFailedError, "the proxy could not be used"),
    "UnsupportedProtocol": (ConnectFailedError, "server_url needs http:// or https://"),
    "ReadError": (NetworkError, "the connection failed while the response was read"),
    "WriteError": (NetworkError, "the connection failed while the request was sent"),
    "CloseError": (NetworkError, "the connection could not be closed"),
    "RemoteProtocolError": (
        NetworkError,
        "the server closed the connection early, or its response is not valid HTTP",
    ),
    "LocalProtocolError": (NetworkError, "the request is not valid HTTP"),
    "ProtocolError": (NetworkError, "the exchange was not valid HTTP"),
    "DecodingError": (NetworkError, "the content-encoding of the response is invalid"),
    "TooManyRedirects": (NetworkError, "too many redirects"),
    "NetworkError": (NetworkError, "the connection failed"),
    "TransportError": (NetworkError, "the connection failed"),
}

_HINTS = {
    ConnectFailedError: " Check server_url= (or FRIENDLI_BASE_URL) and that the endpoint is up.",
    RequestTimeoutError: " Allow more time with timeout_ms=, or stream the answer.",
    NetworkError: "",
}

NEVER_RETRIED = frozenset(
    {"UnsupportedProtocol", "LocalProtocolError", "TooManyRedirects", "DecodingError", "CloseError"}
)
"""Kinds of errors that a retry cannot fix."""


def network_error(cause: BaseException, where: str) -> NetworkError | None:
    """Convert an exception of the HTTP client to a NetworkError.

    Args:
        cause: Exception of the built-in HTTP client, or of one that was passed in.
        where: Method and URL, without secrets.

    Returns:
        An error to raise from `cause`; None if `cause` is not a network error.
    """
    kind = _kind(cause)
    if kind is None:
        return None
    base, description = _KINDS[kind]
    detail = f": {cause}" if str(cause) else ""
    message = f"{kind}: {description}{detail}\n{where}.{_HINTS[base]}"
    error = _joined(base, _loaded(kind))(message)
    error.kind = kind
    request = getattr(cause, "_request", None)
    if request is not None:
        # `httpx.RequestError.request` reads it.
        error.__dict__["_request"] = request
    return error


def _kind(cause: BaseException) -> str | None:
    if not isinstance(cause, Exception):
        return None
    for cls in type(cause).__mro__:
        if cls.__name__ in _KINDS and cls.__module__.split(".")[0] not in ("builtins", "friendli"):
            return cls.__name__
    if isinstance(cause, TimeoutError):
        return "TimeoutException"
    if isinstance(cause, ConnectionRefusedError):
        return "ConnectError"
    return "NetworkError" if isinstance(cause, ConnectionError) else None


def _loaded(kind: str) -> tuple[type[Exception], ...]:
    """Return the classes named `kind` of the HTTP libraries that the program has imported."""
    found = []
    for name in ("httpx", "httpx2"):
        cls = getattr(sys.modules.get(name), kind, None)
        if isinstance(cls, type) and issubclass(cls, Exception):
            found.append(cls)
    return tuple(found)


_classes: dict[tuple[type, ...], type[NetworkError]] = {}


def _joined(base: type[NetworkError], others: tuple[type[Exception], ...]) -> type[NetworkError]:
    if not others:
        return base
    joined = _classes.get((base, *others))
    if joined is None:
        joined = _classes[(base, *others)] = _join(base, others)
    return joined


def _join(base: type[NetworkError], others: tuple[type[Exception], ...]) -> type[NetworkError]:
    return type(
        base.__name__, (base, *others), {"__module__": base.__module__, "__doc__": base.__doc__}
    )


def _unpickle(base: type[NetworkError], kind: str, message: str) -> NetworkError:
    error = _joined(base, _loaded(kind))(message)
    error.kind = kind
    return error
