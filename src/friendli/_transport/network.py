"""Network errors: the HTTP library's errors, converted to the client's own.

A program may catch a failed connection in three ways, and all of them work on one object: as
`NetworkError`, as the builtin ConnectionError or TimeoutError, and, if it has imported httpx or
httpx2, as the corresponding class of that library (`httpx.ReadTimeout`). For the last, classes are
created at run time, once per combination; they pickle as their base.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from typing import Any, Final

from friendli._errors import NoResponseError
from friendli._transport.clock import CallClock, Limit


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
    """A phase of the exchange took longer than its timeout, or the call than its limits."""


class DeadlineExceededError(RequestTimeoutError):
    """The call took longer than its `deadline`, retries and waits included."""


class ResponseStalledError(RequestTimeoutError):
    """The server sent no content for longer than `stall_timeout`."""


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

_LIMITS: dict[Limit, tuple[type[NetworkError], str, str]] = {
    "deadline": (
        DeadlineExceededError,
        "TimeoutException",
        "the call took longer than its deadline of {:g} s",
    ),
    "stall_timeout": (
        ResponseStalledError,
        "ReadTimeout",
        "the server sent no content for {:g} s (comments and empty events are not content)",
    ),
}
"""Limits of a call: class, kind and description of the error if one passes."""

_HINTS = {
    DeadlineExceededError: " Allow more time with deadline=.",
    ResponseStalledError: " Allow more time with stall_timeout=.",
    ConnectFailedError: " Check server_url= (or FRIENDLI_BASE_URL) and that the endpoint is up.",
    RequestTimeoutError: " Allow more time with timeout_ms=, or stream the answer.",
    NetworkError: "",
}

MAX_REDIRECTS: Final = 20

_CONNECTING: Final = frozenset({"ConnectError", "ConnectTimeout", "ProxyError"})
"""Kinds of errors while the connection is made."""

_LIBRARIES: Final = frozenset(
    "friendli httpx httpx2 httpcore httpcore2 h11 h2 anyio trio aiohttp aiohappyeyeballs asyncio "
    "concurrent contextlib socket ssl truststore selectors threading".split()
)
"""Packages and modules whose frames say nothing to a program."""

NEVER_RETRIED = frozenset(
    {"UnsupportedProtocol", "LocalProtocolError", "TooManyRedirects", "DecodingError", "CloseError"}
)
"""Kinds of errors that a retry cannot fix."""


def network_error(
    cause: BaseException, where: str, clock: CallClock | None = None
) -> NetworkError | None:
    """Convert an exception of the HTTP client to a NetworkError.

    Args:
        cause: Exception of the built-in HTTP client, or of one that was passed in.
        where: Method and URL, without secrets.
        clock: Clock of the call. If a limit has passed, the error says so, whatever `cause` is.

    Returns:
        An error to raise from `cause`; None if `cause` is not a network error.
    """
    kind = _kind(cause)
    if kind is None:
        return None
    hint = _hint_of(cause) or (_proxy_hint(where) if kind in _CONNECTING else None)
    reason = next(filter(None, map(str, _chain(cause))), "")  # under trio, of the system's error
    _shorten(cause)
    passed = None if clock is None else clock.passed()
    if passed is None:
        base, description = _KINDS[kind]
        detail = f": {reason}" if reason else ""
        error = _error(base, kind, f"{kind}: {description}{detail}", where, hint)
    else:
        base, kind, description = _LIMITS[passed]
        text = description.format(getattr(clock, passed))
        error = _error(base, kind, f"{base.__name__}: {text}", where)
    request = getattr(cause, "_request", None)
    if request is not None:
        # `httpx.RequestError.request` reads it.
        error.__dict__["_request"] = request
    return error


def too_many_redirects(where: str) -> NetworkError:
    """Return the error of a call that was redirected more than `MAX_REDIRECTS` times."""
    kind = "TooManyRedirects"
    base, description = _KINDS[kind]
    return _error(base, kind, f"{kind}: {description}, more than {MAX_REDIRECTS}", where)


def _error(
    base: type[NetworkError], kind: str, message: str, where: str, hint: str | None = None
) -> NetworkError:
    hint = _HINTS[base] if hint is None else hint
    error = _joined(base, _loaded(kind))(f"{message}\n{where}.{hint}")
    error.kind = kind
    return error


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that it was raised from."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _hint_of(cause: BaseException) -> str | None:
    """Return the hint for the system's error behind an error of the HTTP library; None for most."""
    for error in _chain(cause):
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return (
                " This process has no file descriptor left: close streams and clients that are not "
                "needed, or raise the limit (ulimit -n)."
            )
    return None


def _proxy_hint(where: str) -> str | None:
    """Return the hint for a connection that goes through a proxy of the environment, or None."""
    if "httpx2" not in sys.modules:
        return None
    from friendli._transport.environment import proxy_variable

    variable = proxy_variable(where.partition(" ")[2])
    if variable is None:
        return None
    return f" The connection goes through the proxy in {variable}: check it, or use NO_PROXY."


def _shorten(cause: BaseException) -> None:
    """Drop the tracebacks and causes of an exception that was raised inside the HTTP library.

    A refused connection would print three tracebacks, 80 lines, that say what its message says.
    """
    chain = list(_chain(cause))
    if all(map(_is_within_libraries, chain)):
        cause.__traceback__ = cause.__cause__ = None
        cause.__suppress_context__ = True


def _is_within_libraries(error: BaseException) -> bool:
    """Whether all frames of a traceback are of this client, the HTTP library or the system's."""
    traceback = error.__traceback__
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in _LIBRARIES:
            return False
        traceback = traceback.tb_next
    return True


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
