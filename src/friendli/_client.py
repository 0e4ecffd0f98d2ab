"""`SyncFriendli` and `AsyncFriendli`: options, HTTP client and namespaces."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, TypeVar

from typing_extensions import TypedDict, Unpack

from friendli._chat import AsyncChat, SyncChat
from friendli._mixture import warn_of_mixture
from friendli._streaming.sse import MAX_EVENT
from friendli._transport.hooks import SDKConfiguration
from friendli._transport.http import AsyncHttpProvider, SyncHttpProvider
from friendli._transport.log import configure_from_environment
from friendli._transport.options import (
    DEFAULT_URL,
    MAX_RESPONSE,
    Options,
    base_url,
    operation_url,
    seconds,
    size_limit,
    time_limit,
    token_of,
)
from friendli._transport.protocols import AsyncHttpClient, HttpClient
from friendli._transport.retry import RetryConfig, RetryOption
from friendli._transport.secret import Url
from friendli.types import UNSET, Unset

Chat = TypeVar("Chat", SyncChat, AsyncChat)


class ClientOptions(TypedDict, total=False):
    """Options that `with_options()` may change.

    Attributes:
        token: As in the constructor.
        server_url: As in the constructor; None keeps the client's.
        x_friendli_team: As in the constructor; None removes the team.
        retries: As `retry_config` in the constructor; UNSET keeps the client's.
        timeout_ms: As in the constructor; None keeps the client's.
        deadline: As in the constructor; None removes the deadline.
        stall_timeout: As in the constructor; None removes the limit.
        max_response_bytes: As in the constructor; None keeps the client's.
        http_headers: Headers to add to the client's own.
    """

    token: str | Callable[[], str] | None
    server_url: str | None
    x_friendli_team: str | None
    retries: RetryConfig | Unset | None
    timeout_ms: int | None
    deadline: float | None
    stall_timeout: float | None
    max_response_bytes: int | None
    http_headers: Mapping[str, str] | None


class _BadClientError(TypeError, AssertionError):
    """Raised for a `client=` or `async_client=` that lacks methods of its protocol."""


@dataclass(frozen=True)
class Config:
    """Configuration of a client, read-only."""

    x_friendli_team: str | None = None
    retries: RetryOption = UNSET
    server_url: str | None = None
    timeout_ms: float | None = None
    http_headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Dedicated(Generic[Chat]):
    """Operations of dedicated endpoints.

    Attributes:
        chat: Chat completions.
    """

    def __init__(self, chat: Chat) -> None:
        self.chat: Chat = chat

    def __getattr__(self, name: str) -> Any:
        from friendli._compat.absent import absent_attribute

        raise absent_attribute(self, "dedicated.", name)


class _Client(ABC):
    """Common base of both clients."""

    _options: Options
    _owns = True
    _server_url: str = DEFAULT_URL

    def __init__(
        self,
        token: str | Callable[[], str] | None = None,
        server_idx: int | None = None,
        server_url: str | None = None,
        url_params: Mapping[str, str] | None = None,
        client: HttpClient | None = None,
        async_client: AsyncHttpClient | None = None,
        retry_config: RetryConfig | Unset | None = UNSET,
        timeout_ms: int | None = None,
        debug_logger: Any = None,
        *compatibility: Any,
        x_friendli_team: str | None = None,
        http_headers: Mapping[str, str] | None = None,
        max_event_bytes: int = MAX_EVENT,
        max_response_bytes: int = MAX_RESPONSE,
        deadline: float | None = None,
        stall_timeout: float | None = None,
        **unknown: Any,
    ) -> None:
        """Create a client; no connection is opened before the first call.

        Args:
            token: API token, or a callable that returns it, called once per call, not per
                retry. Default: the environment variable FRIENDLI_TOKEN. An empty token sends no
                Authorization header.
            server_idx: 0 or None; there is only one server.
            server_url: Base URL of the endpoint; a path prefix is kept. Default: the environment
                variable FRIENDLI_BASE_URL, or the public service if it is not set.
            url_params: Values for `{name}` in `server_url`.
            client: Sync HTTP client to use in place of the built-in one; it is never closed.
            async_client: Async HTTP client to use in place of the built-in one; it is never closed.
            retry_config: A `friendli.RetryConfig`; None disables retries. Default: two retries.
            timeout_ms: Timeout of each of connect, read, write and pool, in milliseconds; greater
                than 0. Default: 5,000 for connect and 600,000 for the others, or the timeouts of
                the HTTP client that is passed in.
            debug_logger: Object with a method `debug(message, *args)`. Default: the logger
                `friendli`.
            *compatibility: Positional arguments of the published client; ignored.
            x_friendli_team: ID of the team that makes the requests. Default: none.
            http_headers: Headers to add to every request. Default: none.
            max_event_bytes: Maximum size of one event of a stream, in bytes. Default: 16 MiB. The
                size of a stream as a whole is not limited.
            max_response_bytes: Maximum size of a whole answer after content decoding, in bytes; at
                least 1. Default: 256 MiB. Of other bodies, at most 1 MiB is read.
            deadline: Maximum duration of a call, in seconds, with connecting, retries, the waits
                between them, and the whole stream; above 0, at most 1,000,000. The endpoint is told
                the remaining time in the header `x-request-timeout`. Default: none.
            stall_timeout: Maximum time without content after the headers of a response, in seconds;
                above 0, at most 1,000,000. Comments and empty events of a stream are not content;
                of a whole answer, every byte is. Default: none.
            **unknown: `retries` is an alias of `retry_config`; other names are ignored with a
                warning.

        Raises:
            TypeError: An HTTP client that is passed in lacks methods of its protocol.
            ValueError: `server_url`, `server_idx`, or a limit of time or size, is invalid.
        """
        wrapped_token = token_of(token)
        del token
        if server_idx not in (None, 0):
            raise ValueError(f"`server_idx` must be 0 or None, got {server_idx!r}")
        for supplied, protocol, name in (
            (client, HttpClient, "HttpClient"),
            (async_client, AsyncHttpClient, "AsyncHttpClient"),
        ):
            if supplied is not None and not isinstance(supplied, protocol):
                raise _BadClientError(f"The provided client must implement the {name} protocol.")
        retries = unknown.pop("retries", UNSET) if isinstance(retry_config, Unset) else retry_config
        for name in unknown.keys() - {"core_cls", "config_cls", "retries"}:
            warnings.warn(f"{type(self).__name__} ignores the option {name!r}", stacklevel=3)
        server_url = base_url(server_url, url_params)
        self._options = Options(
            token=wrapped_token,
            url=operation_url(server_url),
            team=x_friendli_team,
            retries=retries,
            timeout=None if timeout_ms is None else seconds(timeout_ms),
            headers=dict(http_headers or {}),
            max_event=size_limit("max_event_bytes", max_event_bytes),
            max_response=size_limit("max_response_bytes", max_response_bytes),
            deadline=time_limit("deadline", deadline),
            stall_timeout=time_limit("stall_timeout", stall_timeout),
            debug_logger=debug_logger,
        )
        self._server_url = server_url
        self._attach(client, async_client)
        self._namespaces()
        configure_from_environment()
        warn_of_mixture()

    @property
    def core(self) -> Any:
        """The client itself; programs for the published client access it by this name."""
        return self

    @property
    def config(self) -> Config:
        """Configuration of the client."""
        options = self._options
        return Config(
            x_friendli_team=options.team,
            retries=options.retries,
            server_url=self._server_url,
            timeout_ms=None if options.timeout is None else options.timeout * 1000,
            http_headers=options.headers,
        )

    @property
    def sdk_configuration(self) -> SDKConfiguration:
        """The configuration as hooks see it; hooks are registered at its `_hooks`."""
        return self._options.configuration

    def __repr__(self) -> str:
        return f"{type(self).__name__}(server_url={self._server_url!r})"

    def __getattr__(self, name: str) -> Any:
        from friendli._compat.absent import absent_attribute

        raise absent_attribute(self, "", name)

    def _changed(self, changes: Mapping[str, Any]) -> Any:
        """Copy with changed options; the HTTP client is shared, and owned by the original."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._options = _apply(self._options, changes)
        if changes.get("server_url"):
            copy._server_url = Url(changes["server_url"])
        copy._owns = False
        copy._namespaces()
        return copy

    @abstractmethod
    def _attach(self, client: HttpClient | None, async_client: AsyncHttpClient | None) -> None: ...

    @abstractmethod
    def _namespaces(self) -> None: ...


def _apply(options: Options, changes: Mapping[str, Any]) -> Options:
    unknown = changes.keys() - ClientOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"with_options() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    new: dict[str, Any] = {}
    if "token" in changes:
        new["token"] = token_of(changes["token"])
    if changes.get("server_url"):
        new["url"] = operation_url(changes["server_url"])
    if "x_friendli_team" in changes:
        new["team"] = changes["x_friendli_team"]
    if not isinstance(changes.get("retries", UNSET), Unset):
        new["retries"] = changes["retries"]
    if changes.get("timeout_ms") is not None:
        new["timeout"] = seconds(changes["timeout_ms"])
    for name in ("deadline", "stall_timeout"):
        if name in changes:
            new[name] = time_limit(name, changes[name])
    if changes.get("max_response_bytes") is not None:
        new["max_response"] = size_limit("max_response_bytes", changes["max_response_bytes"])
    if changes.get("http_headers") is not None:
        new["headers"] = {**options.headers, **changes["http_headers"]}
    return options.with_(**new)


class SyncFriendli(_Client):
    """Client of the Friendli API, for programs without an event loop.

    Thread-safe, and usable in forked child processes. Close it as a context manager or by
    `close()`. See `__init__` for the arguments.

    Attributes:
        dedicated: Operations of dedicated endpoints.
    """

    dedicated: Dedicated[SyncChat]
    _http: SyncHttpProvider

    def with_options(self, **changes: Unpack[ClientOptions]) -> SyncFriendli:
        """Return a client with changed options that shares the connections of this one.

        Closing the returned client has no effect.

        Raises:
            TypeError: An option is unknown.
            ValueError: `server_url`, or a limit of time or size, is invalid.
        """
        copy: SyncFriendli = self._changed(changes)
        return copy

    def close(self) -> None:
        """Close the connections; an HTTP client that was passed in stays open."""
        if self._owns:
            self._http.close()

    def __enter__(self) -> SyncFriendli:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _attach(self, client: HttpClient | None, async_client: AsyncHttpClient | None) -> None:
        self._http = SyncHttpProvider(client)

    def _namespaces(self) -> None:
        self.dedicated = Dedicated(SyncChat(self._options, self._http))


class AsyncFriendli(_Client):
    """Client of the Friendli API, for programs with an event loop.

    Usable in several event loops, one after another or at once. Close it as an async context
    manager or by `aclose()`. See `__init__` for the arguments.

    Attributes:
        dedicated: Operations of dedicated endpoints.
    """

    dedicated: Dedicated[AsyncChat]
    _http: AsyncHttpProvider

    def with_options(self, **changes: Unpack[ClientOptions]) -> AsyncFriendli:
        """Return a client with changed options that shares the connections of this one.

        Closing the returned client has no effect.

        Raises:
            TypeError: An option is unknown.
            ValueError: `server_url`, or a limit of time or size, is invalid.
        """
        copy: AsyncFriendli = self._changed(changes)
        return copy

    async def aclose(self) -> None:
        """Close the connections; an HTTP client that was passed in stays open."""
        if self._owns:
            await self._http.aclose()

    async def __aenter__(self) -> AsyncFriendli:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _attach(self, client: HttpClient | None, async_client: AsyncHttpClient | None) -> None:
        self._http = AsyncHttpProvider(async_client)

    def _namespaces(self) -> None:
        self.dedicated = Dedicated(AsyncChat(self._options, self._http))
