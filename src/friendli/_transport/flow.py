"""HTTP exchange of one call, as a generator without I/O.

`exchange` yields steps (`Send`, `Sleep`, `Read`, ...). A driver performs each step and sends back
its result, or throws its exception; the generator returns the response:

    flow = exchange(call)
    step = next(flow)           # Send(call)
    step = flow.send(response)  # Close(response), then Sleep(seconds), then Send(call) again

Sync and async programs share it, and tests drive it by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from friendli._errors import coding_error, status_error, too_large_error
from friendli._text import body_text
from friendli._transport.call import Call
from friendli._transport.clock import CallClock
from friendli._transport.log import exchange_log
from friendli._transport.network import MAX_REDIRECTS, network_error, too_many_redirects
from friendli._transport.schedule import Schedule
from friendli._transport.secret import shown_url


@dataclass(frozen=True, slots=True)
class Send:
    """Send the call, without following a redirect. Result: the response, with its body unread.

    Attributes:
        request: Request to send; None: the HTTP client builds it from the call.
    """

    call: Call
    request: Any = None


@dataclass(frozen=True, slots=True)
class Build:
    """Build the request with the HTTP client. Result: the request."""

    call: Call


@dataclass(frozen=True, slots=True)
class RunHooks:
    """Run hooks, outside of the event loop. Result: their return value.

    Attributes:
        response: Response to close if the hooks raise, or the call is cancelled.
    """

    hooks: Callable[[], Any]
    response: Any = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Sleep. Result: None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Read:
    """Read the body of the response into memory, and release its connection.

    Result: whether the body was read to its end.

    Attributes:
        max_bytes: Maximum size after content decoding; the body is cut there.
        clock: Clock of the call, if it has one.
    """

    response: Any
    max_bytes: int
    clock: CallClock | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """Release the connection of the response. Result: None."""

    response: Any


MAX_ERROR_BODY: Final = 1024 * 1024
"""Maximum size of a body that is not an answer, after content decoding, in bytes."""

Step: TypeAlias = Send | Build | RunHooks | Sleep | Read | Close
Flow: TypeAlias = Generator[Step, Any, Any]


def exchange(call: Call) -> Flow:
    """Send a call, with the retries of its schedule, and return the response of a success.

    The body of a whole answer has been read. A stream is retried only before its first byte:
    nothing is retried once the response is returned.

    Raises:
        SDKError: The response has an error status, or is of the wrong kind.
        ResponseTooLargeError: A whole answer exceeds the maximum size.
        NetworkError: The connection failed, or timed out.
    """
    hooks, clock = call.hooks, call.clock
    request = None
    schedule = (
        Schedule(call.retries)
        if clock is None
        else Schedule(call.retries, remaining=clock.before_deadline)
    )
    log = exchange_log(call)
    while True:
        if clock is not None:
            call.send_deadline(call.headers)
        if log:
            log.sending(schedule.retries)
        if hooks:
            request = yield Build(call)
            request = yield RunHooks(partial(hooks.before_request, request))
        try:
            response = yield from _follow_redirects(call, request)
            is_whole: bool = call.stream or (yield _read(call, response))
        except Exception as cause:
            error = network_error(cause, call.where, clock)
            if error is None:
                raise
            wait = schedule.after_error(error)
            if log:
                log.failed(error, wait)
            if wait is None:
                return (yield from _failed(call, None, error, cause))
        else:
            status: int = response.status_code
            if log:
                log.answered(response)
            if _is_success(response, call.stream):
                coding = _unknown_coding(response)
                if coding is not None:
                    yield Close(response)
                    raise coding_error(response, coding, call.where)
                if not is_whole:
                    raise too_large_error(
                        response, "the body", "max_response_bytes", call.max_response, call.where
                    )
                if hooks:
                    response = yield RunHooks(partial(hooks.after_success, response), response)
                return response
            wait = schedule.after_status(status, response.headers)
            if wait is None:
                try:
                    if call.stream:
                        is_whole = yield _read(call, response)
                except Exception as cause:
                    error = network_error(cause, call.where, clock)
                    if error is None:
                        raise
                    return (yield from _failed(call, None, error, cause))
                return (yield from _failed(call, response, None, None, is_whole))
            if call.stream:
                yield Close(response)
            if log:
                log.retrying(status, wait)
        yield Sleep(wait)


def _follow_redirects(call: Call, request: Any) -> Flow:
    """Send a call and its redirections, and return the response that is not a redirection.

    The HTTP client would read the body of a redirection to its end, whatever its size, and would
    begin the timeouts anew with each redirection.
    """
    history: list[Any] = []
    while True:
        if call.clock is not None:
            call.clock.begin_request()
        response = yield Send(call, request)
        redirected = 300 <= response.status_code < 400
        request = getattr(response, "next_request", None) if redirected else None
        if request is None:
            if history:
                response.history = history
            return response
        is_whole = yield _read(call, response)
        if request.method != "POST":
            raise status_error(
                response,
                body_text(response),
                call.where,
                _cut(call, is_whole),
                f"A redirection with status {response.status_code} turns the POST into a "
                f"{request.method} without a body; use the address that it leads to as server_url: "
                f"{shown_url(str(request.url))}",
            )
        history.append(response)
        if len(history) > MAX_REDIRECTS:
            raise too_many_redirects(call.where)
        call.send_deadline(request.headers)


def _read(call: Call, response: Any) -> Read:
    is_answer = not call.stream and _is_success(response, stream=False)
    max_bytes = call.max_response if is_answer else _max_error_body(call)
    return Read(response, max_bytes, call.clock)


def _max_error_body(call: Call) -> int:
    return min(call.max_response, MAX_ERROR_BODY)


def _cut(call: Call, is_whole: bool) -> int | None:
    """Return the size at which a body that is not an answer was cut; None if it is whole."""
    return None if is_whole else _max_error_body(call)


def _failed(
    call: Call,
    response: Any,
    error: Exception | None,
    cause: Exception | None,
    is_whole: bool = True,
) -> Flow:
    """Raise the error of a failed call, unless a hook replaces it by a success."""
    if call.hooks:
        response, error = yield RunHooks(partial(call.hooks.after_error, response, error))
    if error is not None:
        raise error from cause
    if response is not None and _is_success(response, call.stream):
        return response
    raise status_error(response, body_text(response), call.where, _cut(call, is_whole))


def _is_success(response: Any, stream: bool) -> bool:
    if response.status_code != 200:
        return False
    content_type: str = response.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    return kind == ("text/event-stream" if stream else "application/json")


def _unknown_coding(response: Any) -> str | None:
    """Return the content coding that the HTTP client does not decode; None if there is none.

    A client decodes what it accepts; a body in another coding would be read as it is.
    """
    coding: str = response.headers.get("content-encoding", "")
    if not coding:
        return None
    try:
        accepted: str = response.request.headers.get("accept-encoding", "").lower()
    except (AttributeError, RuntimeError):
        return None  # a response that the program made, without a request
    known = {item.partition(";")[0].strip() for item in accepted.split(",")}
    for name in coding.lower().split(","):
        if name.strip() not in {"", "identity", *known}:
            return name.strip()
    return None
