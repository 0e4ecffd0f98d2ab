"""Drivers of a flow, one for sync and one for async HTTP clients."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

from friendli._transport import loop
from friendli._transport.call import Call
from friendli._transport.chunks import BoundedBody, TimedChunks, TimedChunksAsync
from friendli._transport.flow import Build, Close, Flow, Read, RunHooks, Send, Sleep, Step


def drive(flow: Flow, client: Any) -> Any:
    """Run a flow on a sync HTTP client and return its result."""
    try:
        step = next(flow)
        while True:
            try:
                result = _perform(step, client)
            except Exception as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as end:
        return end.value
    finally:
        flow.close()


def _perform(step: Step, client: Any) -> Any:
    if isinstance(step, Send):
        return client.send(_request(step, client), stream=True, follow_redirects=False)
    if isinstance(step, Sleep):
        return time.sleep(step.seconds)
    if isinstance(step, Build):
        return _build(step.call, client)
    if isinstance(step, RunHooks):
        try:
            return step.hooks()
        except BaseException:
            if step.response is not None:
                step.response.close()
            raise
    if isinstance(step, Close):
        return step.response.close()
    return _read(step)


def _read(step: Read) -> bool:
    response, clock = step.response, step.clock
    body = BoundedBody(response, step.max_bytes, clock)
    chunks = response.iter_bytes()
    if clock is not None:
        chunks = TimedChunks(chunks, response, clock)
    try:
        for chunk in chunks:
            if not body.add(chunk):
                break
    finally:
        response.close()
    return body.finish()


async def drive_async(flow: Flow, client: Any) -> Any:
    """Run a flow on an async HTTP client and return its result."""
    try:
        step = next(flow)
        while True:
            try:
                result = await _perform_async(step, client)
            except Exception as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as end:
        return end.value
    finally:
        flow.close()


async def _perform_async(step: Step, client: Any) -> Any:
    if isinstance(step, Send):
        clock = step.call.clock
        sending = client.send(_request(step, client), stream=True, follow_redirects=False)
        if clock is None:
            return await sending
        return await loop.within(clock.before_deadline(), sending)
    if isinstance(step, Sleep):
        return await loop.sleep(step.seconds)
    if isinstance(step, Build):
        return _build(step.call, client)
    if isinstance(step, RunHooks):
        try:
            return await loop.in_thread(step.hooks)
        except BaseException:
            if step.response is not None:
                await step.response.aclose()
            raise
    if isinstance(step, Close):
        return await step.response.aclose()
    return await _read_async(step)


async def _read_async(step: Read) -> bool:
    response, clock = step.response, step.clock
    body = BoundedBody(response, step.max_bytes, clock)
    chunks = response.aiter_bytes()
    try:
        async for chunk in chunks if clock is None else TimedChunksAsync(chunks, clock):
            if not body.add(chunk):
                break
    finally:
        await loop.close_response(response, chunks)
    return body.finish()


def _request(step: Send, client: Any) -> Any:
    """Return the request to send, within the limits of the call's clock.

    Raises:
        TimeoutError: The deadline has passed.
    """
    request, clock = step.request, step.call.clock
    if request is None:
        request = _build(step.call, client)
    if clock is not None:
        if clock.passed():
            raise TimeoutError
        clock.limit_phases(request)
    return request


def _build(call: Call, client: Any) -> Any:
    """Build the request of a call with the HTTP client."""
    url = _parsed(call.url) if _is_of_httpx2(client) else call.url
    if call.timeout is None:
        return client.build_request("POST", url, content=call.content, headers=call.headers)
    return client.build_request(
        "POST",
        url,
        content=call.content,
        headers=call.headers,
        timeout=(call.timeout,) * 4,
    )


def _is_of_httpx2(client: Any) -> bool:
    return type(client).__module__ == "httpx2"


@lru_cache(maxsize=16)
def _parsed(url: str) -> Any:
    """Return a URL of httpx2, which takes longer to parse than the rest of a request."""
    import httpx2

    return httpx2.URL(url)
