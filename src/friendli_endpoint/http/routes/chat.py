"""The route of chat completions."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.http.disconnect import run_until_disconnect
from friendli_endpoint.http.limits.body_memory import BufferedBody
from friendli_endpoint.http.limits.deadline import HEADER, deadline_of, timeout_error
from friendli_endpoint.http.middleware.body_timeout import read_body
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.http.response_sender import ResponseSender
from friendli_endpoint.http.service import PendingResponse, Service
from friendli_endpoint.telemetry import RequestRecord, Telemetry

__all__ = ["COMPLETIONS", "add_chat_route"]

COMPLETIONS = "/dedicated/v1/chat/completions"


def add_chat_route(app: FastAPI, service: Service, policy: Policy, telemetry: Telemetry) -> None:
    """Adds the route to an application."""

    async def prepare(
        content: BufferedBody,
    ) -> tuple[list[Any] | None, PendingResponse]:
        parse = partial(content.parse, DedicatedChatCompletionBody, policy.max_messages)
        body = await asyncio.to_thread(parse)
        messages = telemetry.messages_of(body)
        preparing = service.prepare(body)
        del body  # the memory of its objects is used again for the prepared request
        return messages, await preparing

    @app.post(COMPLETIONS, summary="Create a chat completion")
    async def complete(request: Request) -> Response:
        caller = getattr(request.state, "caller", None)
        record: RequestRecord = request.state.record
        now = asyncio.get_running_loop().time()
        deadline = deadline_of(request.headers.get(HEADER), policy.answer_seconds, now)
        policy.rates.take_request(caller)
        try:
            async with asyncio.timeout_at(deadline):
                content = await read_body(request, policy.max_body)
                messages, pending = await run_until_disconnect(request, prepare(content))
        except TimeoutError:
            raise timeout_error() from None
        telemetry.record_prepared(record, pending.request, messages)
        del messages, content  # the request may wait for long, and needs neither
        policy.rates.take_prompt(caller, pending.request.num_prompt_tokens)
        stack = AsyncExitStack()
        events = await stack.enter_async_context(service.engine.run(pending.request))
        telemetry.record_submitted(record)
        sender = ResponseSender(
            pending,
            events,
            stack.aclose,
            record,
            telemetry,
            deadline,
            partial(policy.rates.add_tokens, caller),
        )
        if pending.request.stream:
            return sender.stream()
        return await sender.whole(request)
