"""The routes, and the form of their errors."""

import asyncio
from functools import cache, partial
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Lifespan

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint import __version__
from friendli_endpoint.generation import Refusal
from friendli_endpoint.http.adapters import ADAPTERS, AdapterBody, add_adapter_routes
from friendli_endpoint.http.answering import Answering
from friendli_endpoint.http.arrival import Arrival, read_body
from friendli_endpoint.http.auth import Auth
from friendli_endpoint.http.cors import Cors
from friendli_endpoint.http.deadline import HEADER, deadline_of, too_late
from friendli_endpoint.http.document import build_document
from friendli_endpoint.http.errors import error_response, refusal_response
from friendli_endpoint.http.held import HeldBody
from friendli_endpoint.http.inspection import BODIES, add_inspection_routes
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.http.request_id import RequestIds
from friendli_endpoint.http.service import Exchange, Service
from friendli_endpoint.own_thread import on_own_thread
from friendli_endpoint.telemetry import CONTENT_TYPE, Passage, Telemetry

__all__ = ["build_app"]

COMPLETIONS = "/dedicated/v1/chat/completions"
MODELS = "/dedicated/v1/models"
METRICS = "/metrics"


def build_app(
    service: Service,
    policy: Policy,
    lifespan: Lifespan[FastAPI],
    telemetry: Telemetry | None = None,
) -> FastAPI:
    """The ASGI application over a service.

    Args:
        service: What answers.
        policy: Who may call, and how much they may ask for.
        lifespan: What starts and stops with the application.
        telemetry: Hears of every request; by default one of its own.
    """
    watching = telemetry or Telemetry()
    app = FastAPI(
        title="Friendli Dedicated Chat",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load programs from other hosts
        redoc_url=None,
        telemetry={"tracing": False},  # newer versions trace too; the spans of requests are ours
        redirect_slashes=False,
        exception_handlers={HTTPException: _http_error, Refusal: _refused},
    )
    _add_middleware(app, policy, watching)

    def accept(body: HeldBody) -> tuple[DedicatedChatCompletionBody, Exchange]:
        asked = body.parse(DedicatedChatCompletionBody, policy.max_messages)
        return asked, service.accept(asked)

    @app.post(COMPLETIONS, summary="Chat completions")
    async def complete(request: Request) -> Response:
        caller = getattr(request.state, "caller", None)
        passage: Passage = request.state.passage
        now = asyncio.get_running_loop().time()
        deadline = deadline_of(request.headers.get(HEADER), policy.answer_seconds, now)
        policy.rates.take_request(caller)
        try:
            async with asyncio.timeout_at(deadline):
                body = await read_body(request, policy.max_body)
                asked, exchange = await asyncio.to_thread(accept, body)
        except TimeoutError:
            raise too_late() from None
        watching.accepted(passage, exchange.request, asked)
        policy.rates.take_prompt(caller, len(exchange.request.prompt))
        answering = Answering(
            service.engine,
            exchange,
            passage,
            watching,
            deadline,
            partial(policy.rates.add_tokens, caller),
        )
        if exchange.stream:
            return answering.stream()
        return await answering.whole(request)

    @app.get("/live", summary="Whether the process lives")
    async def live() -> Response:
        service.check_live()
        return JSONResponse({"status": "alive"})

    @app.get("/health", summary="Whether requests are served")
    async def health() -> Response:
        service.check_ready()
        return JSONResponse({"status": "ready"})

    @app.get(MODELS, summary="What is served")
    async def models() -> Response:
        return JSONResponse({"object": "list", "data": list(service.models())})

    if policy.shows_metrics:

        @app.get(METRICS, summary="What it has done", response_class=PlainTextResponse)
        async def metrics() -> Response:
            return Response(
                await on_own_thread(watching.metrics.exposition), media_type=CONTENT_TYPE
            )

    add_adapter_routes(app, service, policy.max_body)
    add_inspection_routes(app, service, policy)

    @cache
    def document() -> dict[str, Any]:
        return build_document(app, COMPLETIONS, {**BODIES, ADAPTERS: AdapterBody})

    app.openapi = document  # type: ignore[method-assign]
    return app


def _add_middleware(app: FastAPI, policy: Policy, telemetry: Telemetry) -> None:
    """Adds what every request passes; the last one added is the outermost."""
    if policy.tokens is not None:
        app.add_middleware(Auth, tokens=policy.tokens, open_paths=policy.open_paths)
    if policy.cors_origins:
        app.add_middleware(Cors, origins=policy.cors_origins)
    app.add_middleware(Arrival, seconds=policy.receive_seconds, memory=policy.bodies)
    app.add_middleware(RequestIds, telemetry=telemetry, completions=COMPLETIONS)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = {
        404: f"there is no {_request.url.path} here",
        405: f"{_request.url.path} does not take {_request.method}",
    }.get(error.status_code, str(error.detail))
    return error_response(error.status_code, message, headers=error.headers)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    request.state.passage.refuse(error)
    return refusal_response(error)
