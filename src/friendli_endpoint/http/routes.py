"""The routes, and the form of their errors."""

import asyncio
from functools import cache
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Lifespan

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint import __version__
from friendli_endpoint.generation import Refusal
from friendli_endpoint.http.adapters import ADAPTERS, AdapterBody, add_adapter_routes
from friendli_endpoint.http.answering import Answering
from friendli_endpoint.http.body import parse_body, read_body
from friendli_endpoint.http.document import build_document
from friendli_endpoint.http.errors import error_response, refusal_response
from friendli_endpoint.http.inspection import BODIES, add_inspection_routes
from friendli_endpoint.http.request_id import RequestIds
from friendli_endpoint.http.service import Service

__all__ = ["build_app"]

COMPLETIONS = "/dedicated/v1/chat/completions"
MODELS = "/dedicated/v1/models"


def build_app(service: Service, *, max_body: int, lifespan: Lifespan[FastAPI]) -> FastAPI:
    """The ASGI application over a service.

    Args:
        service: What answers.
        max_body: Most bytes of a request body.
        lifespan: What starts and stops with the application.
    """
    app = FastAPI(
        title="Friendli Dedicated Chat",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        exception_handlers={HTTPException: _http_error, Refusal: _refused},
    )
    app.add_middleware(RequestIds)

    @app.post(COMPLETIONS, summary="Chat completions")
    async def complete(request: Request) -> Response:
        body = await read_body(request, max_body)
        exchange = await asyncio.to_thread(
            lambda: service.accept(parse_body(body, DedicatedChatCompletionBody))
        )
        answering = Answering(service.engine, exchange)
        if exchange.stream:
            return answering.stream()
        return await answering.whole(request)

    @app.get("/health", summary="Whether the model is loaded")
    async def health() -> Response:
        _ = service.engine
        return JSONResponse({"status": "ready"})

    @app.get(MODELS, summary="What is served")
    async def models() -> Response:
        return JSONResponse({"object": "list", "data": list(service.models())})

    add_adapter_routes(app, service, max_body)
    add_inspection_routes(app, service, max_body)

    @cache
    def document() -> dict[str, Any]:
        return build_document(app, COMPLETIONS, {**BODIES, ADAPTERS: AdapterBody})

    app.openapi = document  # type: ignore[method-assign]
    return app


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = {
        404: f"there is no {_request.url.path} here",
        405: f"{_request.url.path} does not take {_request.method}",
    }.get(error.status_code, str(error.detail))
    return error_response(error.status_code, message, headers=error.headers)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refusal_response(error)
