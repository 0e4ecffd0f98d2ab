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
from typing import Any, TypeAlias

from friendli._errors import status_error
from friendli._transport.call import Call
from friendli._transport.log import exchange_log
from friendli._transport.network import network_error
from friendli._transport.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Send:
    """Send the call. Result: the response, with its body unread if the call is a stream.

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
    """Read the body of the response to its end. Result: the body as text."""

    response: Any


@dataclass(frozen=True, slots=True)
class Close:
    """Release the connection of the response. Result: None."""

    response: Any


Step: TypeAlias = Send | Build | RunHooks | Sleep | Read | Close
Flow: TypeAlias = Generator[Step, Any, Any]


def exchange(call: Call) -> Flow:
    """Send a call, with the retries of its schedule, and return the response of a success.

    A stream is retried only before its first byte: nothing is retried once the response is
    returned.

    Raises:
        SDKError: The response has an error status, or is of the wrong kind.
        NetworkError: The connection failed, or timed out.
    """
    hooks = call.hooks
    request = None
    schedule = Schedule(call.retries)
    log = exchange_log(call)
    while True:
        if log:
            log.sending(schedule.retries)
        if hooks:
            request = yield Build(call)
            request = yield RunHooks(partial(hooks.before_request, request))
        try:
            response = yield Send(call, request)
        except Exception as cause:
            error = network_error(cause, call.where)
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
                if hooks:
                    response = yield RunHooks(partial(hooks.after_success, response), response)
                return response
            wait = schedule.after_status(status, response.headers)
            if wait is None:
                try:
                    body = yield Read(response)
                except Exception as cause:
                    error = network_error(cause, call.where)
                    if error is None:
                        raise
                    return (yield from _failed(call, None, error, cause))
                if hooks:
                    return (yield from _failed(call, response, None, None))
                raise status_error(response, body, call.where)
            yield Close(response)
            if log:
                log.retrying(status, wait)
        yield Sleep(wait)


def _failed(call: Call, response: Any, error: Exception | None, cause: Exception | None) -> Flow:
    """Raise the error of a failed call, unless a hook replaces it by a success."""
    if call.hooks:
        response, error = yield RunHooks(partial(call.hooks.after_error, response, error))
    if error is not None:
        raise error from cause
    if response is not None and _is_success(response, call.stream):
        return response
    raise status_error(response, response.text, call.where)


def _is_success(response: Any, stream: bool) -> bool:
    if response.status_code != 200:
        return False
    content_type: str = response.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    return kind == ("text/event-stream" if stream else "application/json")
