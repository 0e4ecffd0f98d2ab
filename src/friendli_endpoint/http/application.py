"""The ASGI application: middleware, routes and error handlers."""

from functools import cache
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Lifespan

from friendli_endpoint import __version__
from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.document import build_document
from friendli_endpoint.http.errors import error_response, request_error_response
from friendli_endpoint.http.middleware.auth import AuthMiddleware
from friendli_endpoint.http.middleware.body_timeout import BodyTimeoutMiddleware
from friendli_endpoint.http.middleware.cors import EndpointCORSMiddleware
from friendli_endpoint.http.middleware.host import HostMiddleware
from friendli_endpoint.http.middleware.methods import MethodsMiddleware, allow_of
from friendli_endpoint.http.middleware.origin import OriginMiddleware
from friendli_endpoint.http.middleware.request_id import RequestIdMiddleware
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.http.routes.adapters import ADAPTERS, AdapterBody, add_adapter_routes
from friendli_endpoint.http.routes.chat import COMPLETIONS, add_chat_route
from friendli_endpoint.http.routes.inspection import BODIES, add_inspection_routes
from friendli_endpoint.http.routes.status import add_status_routes
from friendli_endpoint.http.service import Service
from friendli_endpoint.own_thread import is_out_of_memory
from friendli_endpoint.telemetry import Telemetry

__all__ = ["build_app"]


def build_app(
    service: Service,
    policy: Policy,
    lifespan: Lifespan[FastAPI],
    telemetry: Telemetry | None = None,
) -> FastAPI:
    """Builds the ASGI application of a service.

    Args:
        service: The model behind the routes.
        policy: Access and limits of callers.
        lifespan: Context that is entered at startup and left at shutdown.
        telemetry: Receives every request; by default a new one.
    """
    telemetry = telemetry or Telemetry()
    app = FastAPI(
        title="Friendli Dedicated Chat",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load scripts from other hosts
        redoc_url=None,
        telemetry={"tracing": False},  # newer versions trace too; we make our own spans
        redirect_slashes=False,
        exception_handlers={
            HTTPException: _http_error,
            RequestError: _request_error,
            MemoryError: _out_of_memory,
            RuntimeError: _out_of_memory,
        },
    )
    _add_middleware(app, policy, telemetry)
    add_chat_route(app, service, policy, telemetry)
    add_status_routes(app, service, telemetry.metrics if policy.shows_metrics else None)
    add_adapter_routes(app, service, policy)
    add_inspection_routes(app, service, policy)

    @cache
    def document() -> dict[str, Any]:
        return build_document(app, COMPLETIONS, {**BODIES, ADAPTERS: AdapterBody})

    app.openapi = document  # type: ignore[method-assign]
    return app


def _add_middleware(app: FastAPI, policy: Policy, telemetry: Telemetry) -> None:
    """Adds the middleware; the last one added is the outermost."""
    app.add_middleware(MethodsMiddleware)
    if policy.tokens is not None:
        app.add_middleware(AuthMiddleware, tokens=policy.tokens, open_paths=policy.open_paths)
    app.add_middleware(OriginMiddleware, allowed=policy.cors_origins)
    if policy.cors_origins:
        app.add_middleware(EndpointCORSMiddleware, origins=policy.cors_origins)
    if policy.allowed_hosts is not None:
        app.add_middleware(HostMiddleware, allowed=policy.allowed_hosts)
    app.add_middleware(
        BodyTimeoutMiddleware, seconds=policy.receive_seconds, memory=policy.body_memory
    )
    app.add_middleware(RequestIdMiddleware, telemetry=telemetry, completions=COMPLETIONS)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message, headers = str(error.detail), error.headers
    if error.status_code == 404:
        message = f"there is no route {request.url.path}"
    elif error.status_code == 405:
        message = f"{request.url.path} does not support {request.method}"
        headers = {"allow": allow_of(request.app.routes, request.scope)}
    return error_response(error.status_code, message, headers=headers)


async def _out_of_memory(request: Request, error: Exception) -> Response:
    if not is_out_of_memory(error):
        raise error
    message = "there is not enough memory for this request; try again later"
    refusal = RequestError(message, status=503, code="out_of_memory", retry_after=1)
    return await _request_error(request, refusal)


async def _request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    request.state.record.end_with_error(error)
    return request_error_response(error)
