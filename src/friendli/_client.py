"""`SyncFriendli` and `AsyncFriendli`: options, ownership of the HTTP client, namespaces."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, TypeVar

from typing_extensions import TypedDict, Unpack

from friendli._chat import AsyncChat, SyncChat
from friendli._streaming.sse import MAX_EVENT
from friendli._transport.hooks import SDKConfiguration
from friendli._transport.http import AsyncOwned, SyncOwned
from friendli._transport.log import configure_from_environment
from friendli._transport.options import (
    DEFAULT_URL,
    Options,
    base_url,
    operation_url,
    seconds,
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
        token: As at construction.
        server_url: As at construction.
        x_friendli_team: As at construction; None takes the team away.
        retries: As `retry_config` at construction.
        timeout_ms: As at construction.
        http_headers: Added to the client's own.
    """

    token: str | Callable[[], str] | None
    server_url: str | None
    x_friendli_team: str | None
    retries: RetryConfig | Unset | None
    timeout_ms: int | None
    http_headers: Mapping[str, str] | None


class _BadClientError(TypeError, AssertionError):
    """A `client=` or `async_client=` that lacks the methods of the protocol."""


@dataclass(frozen=True)
class Config:
    """Configuration of a client, for reading."""

    x_friendli_team: str | None = None
    retries: RetryOption = UNSET
    server_url: str | None = None
    timeout_ms: float | None = None
    http_headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Dedicated(Generic[Chat]):
    """Operations of dedicated endpoints. Here: `chat`."""

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
        **unknown: Any,
    ) -> None:
        """Make a client; nothing is opened until the first call.

        Args:
            token: The token, or a callable asked once a call; FRIENDLI_TOKEN where None. An empty
                token sends no Authorization header.
            server_idx: 0 or None: there is one server.
            server_url: Where the endpoint is; FRIENDLI_BASE_URL where None, else the public
                service. A path prefix is kept.
            url_params: Values for `{name}` in `server_url`.
            client: A sync HTTP client to use instead of our own; it is never closed.
            async_client: An async HTTP client to use instead of our own; it is never closed.
            retry_config: When to try again; None: never. See `friendli.utils.RetryConfig`.
            timeout_ms: For each of connect, read, write and pool, in ms. Where None: connect 5 s,
                the others 600 s, or what a passed-in client says.
            debug_logger: An object with `.debug(message, *args)`, instead of logger `friendli`.
            *compatibility: Positions that the published client knew; ignored.
            x_friendli_team: Team that requests are made as.
            http_headers: Headers of every request.
            max_event_bytes: Bound on one event of a stream.
            **unknown: `retries` is another name of `retry_config`; the rest is ignored with a
                warning.

        Raises:
            TypeError: A passed-in client lacks the methods of its protocol.
            ValueError: `server_url`, `server_idx` or `timeout_ms` is not usable.
        """
        held = token_of(token)
        del token
        if server_idx not in (None, 0):
            raise ValueError(f"server_idx is {server_idx!r}, but there is only server 0")
        for given, protocol, name in (
            (client, HttpClient, "HttpClient"),
            (async_client, AsyncHttpClient, "AsyncHttpClient"),
        ):
            if given is not None and not isinstance(given, protocol):
                raise _BadClientError(f"The provided client must implement the {name} protocol.")
        retries = unknown.pop("retries", UNSET) if isinstance(retry_config, Unset) else retry_config
        for name in unknown.keys() - {"core_cls", "config_cls", "retries"}:
            warnings.warn(f"{type(self).__name__} ignores the option {name!r}", stacklevel=3)
        server_url = base_url(server_url, url_params)
        self._options = Options(
            token=held,
            url=operation_url(server_url),
            team=x_friendli_team,
            retries=retries,
            timeout=None if timeout_ms is None else seconds(timeout_ms),
            headers=dict(http_headers or {}),
            max_event=max_event_bytes,
            debug_logger=debug_logger,
        )
        self._server_url = server_url
        self._attach(client, async_client)
        self._namespaces()
        configure_from_environment()

    @property
    def core(self) -> Any:
        """The client itself; programs for the published client reach for it by this name."""
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
        """The configuration as hooks see it; its `_hooks` registers them."""
        return self._options.configuration

    def __repr__(self) -> str:
        return f"{type(self).__name__}(server_url={self._server_url!r})"

    def __getattr__(self, name: str) -> Any:
        from friendli._compat.absent import absent_attribute

        raise absent_attribute(self, "", name)

    def _changed(self, changes: Mapping[str, Any]) -> Any:
        """Copy with changed options; the HTTP client stays shared and belongs to the original."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._options = _apply(self._options, changes)
        if changes.get("server_url") is not None:
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
    if changes.get("server_url") is not None:
        new["url"] = operation_url(changes["server_url"])
    if "x_friendli_team" in changes:
        new["team"] = changes["x_friendli_team"]
    if not isinstance(changes.get("retries", UNSET), Unset):
        new["retries"] = changes["retries"]
    if changes.get("timeout_ms") is not None:
        new["timeout"] = seconds(changes["timeout_ms"])
    if changes.get("http_headers") is not None:
        new["headers"] = {**options.headers, **changes["http_headers"]}
    return options.with_(**new)


class SyncFriendli(_Client):
    """A client of the Friendli API, for programs without an event loop.

    Usable from many threads at once, and in forked children. Close it when done: as a context
    manager, or by `close()`. The arguments are described at `__init__`.

    Attributes:
        dedicated: Operations of dedicated endpoints.
    """

    dedicated: Dedicated[SyncChat]
    _http: SyncOwned

    def with_options(self, **changes: Unpack[ClientOptions]) -> SyncFriendli:
        """Give a client with some options changed, on the same connections.

        Closing it closes nothing.

        Raises:
            TypeError: An option is unknown.
            ValueError: `server_url` or `timeout_ms` is not usable.
        """
        copy: SyncFriendli = self._changed(changes)
        return copy

    def close(self) -> None:
        """Close our connections; a client that was passed in stays open."""
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
        self._http = SyncOwned(client, self._options.url)

    def _namespaces(self) -> None:
        self.dedicated = Dedicated(SyncChat(self._options, self._http))


class AsyncFriendli(_Client):
    """A client of the Friendli API, for programs with an event loop.

    Usable in one event loop after another. Close it when done: as an async context manager, or by
    `aclose()`. The arguments are described at `__init__`.

    Attributes:
        dedicated: Operations of dedicated endpoints.
    """

    dedicated: Dedicated[AsyncChat]
    _http: AsyncOwned

    def with_options(self, **changes: Unpack[ClientOptions]) -> AsyncFriendli:
        """Give a client with some options changed, on the same connections.

        Closing it closes nothing.

        Raises:
            TypeError: An option is unknown.
            ValueError: `server_url` or `timeout_ms` is not usable.
        """
        copy: AsyncFriendli = self._changed(changes)
        return copy

    async def aclose(self) -> None:
        """Close our connections; a client that was passed in stays open."""
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
        self._http = AsyncOwned(async_client, self._options.url)

    def _namespaces(self) -> None:
        self.dedicated = Dedicated(AsyncChat(self._options, self._http))
