"""The route of chat completions."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.http.answering import Answering
from friendli_endpoint.http.limits.body_memory import HeldBody
from friendli_endpoint.http.limits.deadline import HEADER, deadline_of, too_late
from friendli_endpoint.http.middleware.body_timeout import read_body
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.http.service import PendingResponse, Service
from friendli_endpoint.telemetry import RequestRecord, Telemetry

__all__ = ["COMPLETIONS", "add_chat_route"]

COMPLETIONS = "/dedicated/v1/chat/completions"


def add_chat_route(app: FastAPI, service: Service, policy: Policy, telemetry: Telemetry) -> None:
    """Adds the route to an application."""

    def accept(body: HeldBody) -> tuple[DedicatedChatCompletionBody, PendingResponse]:
        asked = body.parse(DedicatedChatCompletionBody, policy.max_messages)
        return asked, service.prepare(asked)

    @app.post(COMPLETIONS, summary="Chat completions")
    async def complete(request: Request) -> Response:
        caller = getattr(request.state, "caller", None)
        record: RequestRecord = request.state.record
        now = asyncio.get_running_loop().time()
        deadline = deadline_of(request.headers.get(HEADER), policy.answer_seconds, now)
        policy.rates.take_request(caller)
        try:
            async with asyncio.timeout_at(deadline):
                body = await read_body(request, policy.max_body)
                asked, exchange = await asyncio.to_thread(accept, body)
        except TimeoutError:
            raise too_late() from None
        telemetry.accepted(record, exchange.request, asked)
        del asked, body  # it may wait for long, and needs neither
        policy.rates.take_prompt(caller, exchange.request.num_prompt_tokens)
        stack = AsyncExitStack()
        events = await stack.enter_async_context(service.engine.run(exchange.request))
        telemetry.submitted(record)
        answering = Answering(
            exchange,
            events,
            stack.aclose,
            record,
            telemetry,
            deadline,
            partial(policy.rates.add_tokens, caller),
        )
        if exchange.request.stream:
            return answering.stream()
        return await answering.whole(request)
