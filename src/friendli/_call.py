"""One call, ready to be sent: URL, headers, body and limits from all levels of options.

Knows the wire's names and nothing about sending.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from friendli._hooks import CallHooks, SDKHooks
from friendli._retry import RetryOption
from friendli._secret import Token, Url, masked, shown_url
from friendli._sse import MAX_EVENT
from friendli._version import USER_AGENT
from friendli.types import UNSET, Unset

DEFAULT_URL: Final = "https://api.friendli.ai"
PATH: Final = "/dedicated/v1/chat/completions"
CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 600.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a client was configured with.

    Attributes:
        url: The whole address of the operation.
        timeout: Seconds for each of connect, read, write and pool; None: the HTTP client's own.
    """

    token: Token = field(default_factory=lambda: Token(None))
    url: str = DEFAULT_URL + PATH
    team: str | None = None
    retries: RetryOption = UNSET
    timeout: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_event: int = MAX_EVENT
    debug_logger: Any = None
    hooks: SDKHooks = field(default_factory=SDKHooks, repr=False)

    @property
    def server_url(self) -> str:
        """The server that `url` leads to."""
        return _server_of(self.url)

    def with_(self, **changes: Any) -> Options:
        """Copy with changes."""
        return replace(self, **changes)


class Headers(dict[str, str]):
    """Request headers; their repr masks secrets."""

    def __repr__(self) -> str:
        return repr(masked(self))


@dataclass(slots=True)
class Call:
    """One call of the operation.

    Attributes:
        stream: Whether the answer is read as it comes.
        content: The request's body, JSON.
        timeout: As in `Options`.
        where: Method and URL for messages, without secrets.
        hooks: None where the program registered none.
    """

    url: str
    headers: Headers
    content: bytes = field(repr=False)
    stream: bool
    retries: RetryOption
    timeout: float | None
    where: str
    max_event: int
    model: str
    debug_logger: Any
    hooks: CallHooks | None = field(default=None, repr=False)

    @property
    def server_url(self) -> str:
        """The server that `url` leads to."""
        return _server_of(self.url)


@dataclass(slots=True)
class CallOptions:
    """What one call was given beside its body; it wins over `Options`."""

    x_friendli_team: str | Unset | None = UNSET
    retries: RetryOption = UNSET
    server_url: str | None = None
    accept_header_override: Any = None
    timeout_ms: int | None = None
    http_headers: Mapping[str, str] | None = field(default=None, repr=False)


def prepare(options: Options, given: CallOptions, content: bytes, model: str, stream: bool) -> Call:
    """Put a call together.

    Raises:
        ValueError: `server_url` or `timeout_ms` is not usable.
    """
    url = options.url if given.server_url is None else operation_url(given.server_url)
    accept = given.accept_header_override
    headers = Headers(
        {
            "Accept": str(getattr(accept, "value", accept) or _accept(stream)),
            "content-type": "application/json",
            "user-agent": USER_AGENT,
        }
    )
    authorization = options.token.header()
    if authorization is not None:
        headers["Authorization"] = authorization
    team = options.team if isinstance(given.x_friendli_team, Unset) else given.x_friendli_team
    if team is not None:
        headers["X-Friendli-Team"] = team
    _merge(headers, options.headers)
    _merge(headers, given.http_headers or {})
    return Call(
        url=url,
        headers=headers,
        content=content,
        stream=stream,
        retries=options.retries if isinstance(given.retries, Unset) else given.retries,
        timeout=options.timeout if given.timeout_ms is None else seconds(given.timeout_ms),
        where=f"POST {shown_url(url)}",
        max_event=options.max_event,
        model=model,
        debug_logger=options.debug_logger,
    )


def base_url(server_url: str | None, url_params: Mapping[str, str] | None = None) -> str:
    """Find the server: the argument, FRIENDLI_BASE_URL, or the public service, in this order."""
    if server_url is None:
        return Url(os.environ.get("FRIENDLI_BASE_URL") or DEFAULT_URL)
    for name, value in (url_params or {}).items():
        server_url = server_url.replace("{" + name + "}", value)
    return Url(server_url)


def operation_url(server_url: str) -> str:
    """Join the operation's path to a server's URL; a path prefix and a query are kept.

    Raises:
        ValueError: The URL is not http or https, or names no host.
    """
    parts = urlsplit(server_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            "server_url must look like http://host:port or https://host, "
            f"not {shown_url(server_url)!r}"
        )
    path = parts.path.rstrip("/") + PATH
    return Url(urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")))


def _server_of(url: str) -> str:
    parts = urlsplit(url)
    return Url(urlunsplit(parts._replace(path=parts.path.removesuffix(PATH))))


def seconds(timeout_ms: float) -> float:
    """Turn a timeout in ms into seconds.

    Raises:
        ValueError: It is not a positive, finite number.
    """
    if not isinstance(timeout_ms, int | float) or not 0 < timeout_ms < math.inf:
        raise ValueError(
            f"timeout_ms must be a positive number of milliseconds, not {timeout_ms!r}"
        )
    return timeout_ms / 1000


def token_of(token: str | Callable[[], str] | None) -> Token:
    """Hold the token, or FRIENDLI_TOKEN where none is given."""
    return Token(os.environ.get("FRIENDLI_TOKEN") if token is None else token)


def _accept(stream: bool) -> str:
    return "text/event-stream" if stream else "application/json"


def _merge(headers: Headers, extra: Mapping[str, str]) -> None:
    for name, value in extra.items():
        lowered = name.lower()
        for known in [known for known in headers if known.lower() == lowered]:
            del headers[known]
        headers[name] = value
