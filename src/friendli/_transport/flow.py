"""One exchange, written once: a generator that decides, and leaves it to a driver to act.

`exchange` yields what is to be done (`Send`, `Sleep`, `Read`, ...), is sent what came of it,
and returns the response. It does no I/O, so it is the same for sync and async programs, and tests
drive it by hand.
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
    """Send the call; gives the response, its body unread if the call is a stream.

    Attributes:
        request: What to send; None: what the HTTP client builds of the call.
    """

    call: Call
    request: Any = None


@dataclass(frozen=True, slots=True)
class Build:
    """Have the HTTP client build the request, and give it."""

    call: Call


@dataclass(frozen=True, slots=True)
class Run:
    """Run hooks, where they hold up no event loop; gives what they return.

    Attributes:
        response: Closed if they do not come to their end.
    """

    hooks: Callable[[], Any]
    response: Any = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait that many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Read:
    """Read the response's body to its end; gives it as text."""

    response: Any


@dataclass(frozen=True, slots=True)
class Close:
    """Give the response's connection back."""

    response: Any


Step: TypeAlias = Send | Build | Run | Sleep | Read | Close
Flow: TypeAlias = Generator[Step, Any, Any]


def exchange(call: Call) -> Flow:
    """Send a call, again if the schedule grants it, and return the response of a success.

    A streamed call is sent again only before its first byte: once the response is returned, no
    retry follows.

    Raises:
        SDKError: The answer has an error status, or is not of the kind asked for.
        NetworkError: No answer came.
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
            request = yield Run(partial(hooks.before_request, request))
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
                    response = yield Run(partial(hooks.after_success, response), response)
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
    """Raise what a call fails with, unless a hook gives a success instead."""
    if call.hooks:
        response, error = yield Run(partial(call.hooks.after_error, response, error))
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
