"""Options of a client: URLs, limits, token, hooks."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from friendli._transport.hooks import SDKConfiguration, SDKHooks
from friendli._transport.retry import RetryOption
from friendli._transport.secret import Token, Url, shown_url
from friendli.types import UNSET

DEFAULT_URL: Final = "https://api.friendli.ai"
PATH: Final = "/dedicated/v1/chat/completions"
_KNOWN_PATHS: Final = (PATH, "/dedicated/v1", "/serverless/v1", "/v1")
"""Paths that a base URL may end in: for other clients, it has the version and the API in it."""
CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 600.0
MAX_CONNECTIONS: Final = 1000
MAX_IDLE_CONNECTIONS: Final = 100
IDLE_SECONDS: Final = 30.0
"""Time after which an idle connection is not used again."""
MAX_RESPONSE: Final = 256 * 1024 * 1024
"""Default maximum size of a whole answer after content decoding, in bytes."""
MAX_SECONDS: Final = 1_000_000
"""Maximum of `deadline` and `stall_timeout`; some systems cannot wait for more than 24 days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a client.

    Attributes:
        token: API token.
        url: Full URL of the operation.
        team: ID of the team that makes the requests.
        retries: Configuration of retries; UNSET: the default schedule.
        timeout: Timeout of each of connect, read, write and pool, in seconds; None: those of the
            HTTP client.
        headers: Headers to add to every request.
        max_event: Maximum size of one event of a stream, in bytes.
        max_response: Maximum size of a whole answer after content decoding, in bytes.
        deadline: Maximum duration of a call, in seconds; None: unlimited.
        stall_timeout: Maximum time without content, in seconds; None: unlimited.
        debug_logger: Object with a method `debug(message, *args)`; None: the logger `friendli`.
        hooks: Hooks of the client.
    """

    token: Token = field(default_factory=lambda: Token(None))
    url: str = DEFAULT_URL + PATH
    team: str | None = None
    retries: RetryOption = UNSET
    timeout: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_event: int
    max_response: int = MAX_RESPONSE
    deadline: float | None = None
    stall_timeout: float | None = None
    debug_logger: Any = None
    hooks: SDKHooks = field(default_factory=SDKHooks, repr=False)

    @property
    def server_url(self) -> str:
        """Base URL of the server in `url`."""
        return server_of(self.url)

    @property
    def configuration(self) -> SDKConfiguration:
        """The options as hooks see them."""
        return SDKConfiguration(
            server_url=self.server_url,
            timeout_ms=None if self.timeout is None else self.timeout * 1000,
            retry_config=self.retries,
            debug_logger=self.debug_logger,
            _hooks=self.hooks,
        )

    def with_(self, **changes: Any) -> Options:
        """Return a copy with changes."""
        return replace(self, **changes)


def base_url(server_url: str | None, url_params: Mapping[str, str] | None) -> str:
    """Return the first of: the argument, FRIENDLI_BASE_URL, the URL of the public service.

    An empty argument is an absent one: programs pass `os.getenv("…", "")`.
    """
    if not server_url:
        return Url(os.environ.get("FRIENDLI_BASE_URL") or DEFAULT_URL)
    for name, value in (url_params or {}).items():
        server_url = server_url.replace("{" + name + "}", value)
    return Url(server_url)


def operation_url(server_url: str) -> str:
    """Append the path of the operation to a base URL; a path prefix and a query are kept.

    A known path at the end, which other clients want in a base URL, is not part of the prefix:
    `https://host/serverless/v1`, `https://host/v1` and `https://host` are the same. A prefix `/v1`
    of a gateway is written `https://host/v1/dedicated/v1`.

    Raises:
        ValueError: The URL is not http or https, or has no host.
    """
    parts = urlsplit(server_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            "`server_url` must have the form http://host:port or https://host, "
            f"got {shown_url(server_url)!r}"
        )
    prefix = parts.path.rstrip("/")
    known = next((path for path in _KNOWN_PATHS if prefix.endswith(path)), "")
    path = prefix.removesuffix(known).rstrip("/") + PATH
    return Url(urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")))


def server_of(url: str) -> str:
    """Return the base URL of the server in an operation's URL."""
    parts = urlsplit(url)
    return Url(urlunsplit(parts._replace(path=parts.path.removesuffix(PATH))))


def seconds(timeout_ms: float) -> float:
    """Convert a timeout from milliseconds to seconds.

    Raises:
        ValueError: `timeout_ms` is not a positive, finite number.
    """
    if not isinstance(timeout_ms, int | float) or not 0 < timeout_ms < math.inf:
        raise ValueError(
            f"`timeout_ms` must be a positive number of milliseconds, got {timeout_ms!r}"
        )
    return timeout_ms / 1000


def time_limit(name: str, value: float | None) -> float | None:
    """Check the value of `deadline` or `stall_timeout`; None means unlimited.

    Raises:
        ValueError: The value is not a number above 0 and at most `MAX_SECONDS`.
    """
    if value is not None and (not isinstance(value, int | float) or not 0 < value <= MAX_SECONDS):
        raise ValueError(
            f"`{name}` must be a number of seconds above 0 and at most {MAX_SECONDS:,}, "
            f"got {value!r}"
        )
    return value


def size_limit(name: str, value: int) -> int:
    """Check a maximum size in bytes.

    Raises:
        ValueError: The value is not a positive integer.
    """
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"`{name}` must be a positive number of bytes, got {value!r}")
    return value


def token_of(token: str | Callable[[], str] | None) -> Token:
    """Wrap the token; None means that of FRIENDLI_TOKEN."""
    return Token(os.environ.get("FRIENDLI_TOKEN") if token is None else token)
