"""One call, ready to be sent: URL, headers, body and limits from all levels of options.

Knows the wire's names and nothing about sending.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from friendli._transport.hooks import CallHooks
from friendli._transport.options import Options, operation_url, seconds, server_of
from friendli._transport.retry import RetryOption
from friendli._transport.secret import masked, shown_url
from friendli._version import USER_AGENT
from friendli.types import UNSET, Unset


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
        return server_of(self.url)


@dataclass(slots=True)
class CallOptions:
    """Options of one call; they win over `Options`."""

    x_friendli_team: str | Unset | None = UNSET
    retries: RetryOption = UNSET
    server_url: str | None = None
    accept_header_override: Any = None
    timeout_ms: int | None = None
    http_headers: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(slots=True)
class Arguments:
    """The arguments of a call, sorted.

    Attributes:
        body: Fields of the request's body, UNSET ones included.
        options: How the call is sent.
        extra_body: Fields of the body that have no argument.
    """

    body: dict[str, Any]
    options: CallOptions
    extra_body: Mapping[str, Any] | None


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


def _accept(stream: bool) -> str:
    return "text/event-stream" if stream else "application/json"


def _merge(headers: Headers, extra: Mapping[str, str]) -> None:
    for name, value in extra.items():
        lowered = name.lower()
        for known in [known for known in headers if known.lower() == lowered]:
            del headers[known]
        headers[name] = value
