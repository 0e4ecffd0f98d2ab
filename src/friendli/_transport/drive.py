"""Drivers of a flow, one for sync and one for async HTTP clients."""

from __future__ import annotations

import time
from typing import Any

from friendli._transport import loop
from friendli._transport.call import Call
from friendli._transport.flow import Build, Close, Flow, RunHooks, Send, Sleep, Step


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
        request = step.request
        if request is None:
            request = _build(step.call, client)
        return client.send(request, stream=step.call.stream, follow_redirects=True)
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
    try:
        step.response.read()
    finally:
        step.response.close()
    return step.response.text


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
        request = step.request
        if request is None:
            request = _build(step.call, client)
        return await client.send(request, stream=step.call.stream, follow_redirects=True)
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
    try:
        await step.response.aread()
    finally:
        await step.response.aclose()
    return step.response.text


def _build(call: Call, client: Any) -> Any:
    """Build the request of a call with the HTTP client."""
    if call.timeout is None:
        return client.build_request("POST", call.url, content=call.content, headers=call.headers)
    return client.build_request(
        "POST",
        call.url,
        content=call.content,
        headers=call.headers,
        timeout=(call.timeout,) * 4,
    )
