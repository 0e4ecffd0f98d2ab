"""Calls that are ready to be sent: URL, headers, body and limits, merged from all options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from friendli._transport.clock import HEADER, CallClock
from friendli._transport.hooks import CallHooks
from friendli._transport.options import (
    Options,
    operation_url,
    seconds,
    server_of,
    size_limit,
    time_limit,
)
from friendli._transport.retry import RetryOption
from friendli._transport.secret import masked, shown_url
from friendli._version import USER_AGENT
from friendli.types import UNSET, Unset


class Headers(dict[str, str]):
    """Request headers whose repr masks secrets."""

    def __repr__(self) -> str:
        return repr(masked(self))


@dataclass(slots=True)
class Call:
    """One call of the API operation.

    Attributes:
        url: URL of the operation.
        headers: Request headers.
        content: Request body, JSON.
        stream: Whether the response is a stream of events.
        retries: As in `Options`.
        timeout: As in `Options`.
        where: Method and URL for messages, without secrets.
        max_event: Maximum size of one event of a stream, in bytes.
        max_response: Maximum size of a whole answer after content decoding, in bytes.
        model: Value of the field `model`.
        debug_logger: As in `SyncFriendli`.
        hooks: Hooks of the client, or None if none are registered.
        clock: Clock of the call, or None if it has neither a deadline nor a stall timeout.
    """

    url: str
    headers: Headers
    content: bytes = field(repr=False)
    stream: bool
    retries: RetryOption
    timeout: float | None
    where: str
    max_event: int
    max_response: int
    model: str
    debug_logger: Any
    hooks: CallHooks | None = field(default=None, repr=False)
    clock: CallClock | None = None
    _sends_deadline: bool = field(init=False)

    def __post_init__(self) -> None:
        named = any(name.lower() == HEADER for name in self.headers)
        self._sends_deadline = self.clock is not None and not named

    def send_deadline(self, headers: Any) -> None:
        """Set the header with the remaining time, unless the program has set it itself.

        Args:
            headers: Headers of the call, or of a request of the HTTP client.
        """
        if self._sends_deadline and self.clock is not None:
            value = self.clock.header()
            if value is not None:
                headers[HEADER] = value

    @property
    def server_url(self) -> str:
        """Base URL of the server in `url`."""
        return server_of(self.url)


@dataclass(slots=True)
class CallOptions:
    """Options of one call; they override `Options`."""

    x_friendli_team: str | Unset | None = UNSET
    retries: RetryOption = UNSET
    server_url: str | None = None
    accept_header_override: Any = None
    timeout_ms: int | None = None
    deadline: float | Unset | None = UNSET
    stall_timeout: float | Unset | None = UNSET
    max_response_bytes: int | None = None
    http_headers: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(slots=True)
class Arguments:
    """Arguments of a call, separated by purpose.

    Attributes:
        body: Fields of the request body, UNSET included.
        options: Options of the call.
        extra_body: Fields of the body that are not arguments.
    """

    body: dict[str, Any]
    options: CallOptions
    extra_body: Mapping[str, Any] | None


def prepare(
    options: Options, call_options: CallOptions, content: bytes, model: str, stream: bool
) -> Call:
    """Build a call from the options of the client and of the call.

    Raises:
        ValueError: `server_url`, or a limit of time or size, is invalid.
    """
    server_url = call_options.server_url
    url = operation_url(server_url) if server_url else options.url
    accept = call_options.accept_header_override
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
    team = call_options.x_friendli_team
    if isinstance(team, Unset):
        team = options.team
    if team is not None:
        headers["X-Friendli-Team"] = team
    _merge(headers, options.headers)
    _merge(headers, call_options.http_headers or {})
    retries, timeout_ms = call_options.retries, call_options.timeout_ms
    max_response = call_options.max_response_bytes
    return Call(
        url=url,
        headers=headers,
        content=content,
        stream=stream,
        retries=options.retries if isinstance(retries, Unset) else retries,
        timeout=options.timeout if timeout_ms is None else seconds(timeout_ms),
        where=f"POST {shown_url(url)}",
        max_event=options.max_event,
        max_response=(
            options.max_response
            if max_response is None
            else size_limit("max_response_bytes", max_response)
        ),
        model=model,
        debug_logger=options.debug_logger,
        clock=_clock(options, call_options),
    )


def _clock(options: Options, call_options: CallOptions) -> CallClock | None:
    deadline, stall_timeout = call_options.deadline, call_options.stall_timeout
    if isinstance(deadline, Unset):
        deadline = options.deadline
    if isinstance(stall_timeout, Unset):
        stall_timeout = options.stall_timeout
    if deadline is None and stall_timeout is None:
        return None
    return CallClock(time_limit("deadline", deadline), time_limit("stall_timeout", stall_timeout))


def _accept(stream: bool) -> str:
    return "text/event-stream" if stream else "application/json"


def _merge(headers: Headers, extra: Mapping[str, str]) -> None:
    for name, value in extra.items():
        lowered = name.lower()
        for known in [known for known in headers if known.lower() == lowered]:
            del headers[known]
        headers[name] = value
