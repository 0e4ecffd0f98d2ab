"""Routes that list, load and unload adapters at runtime."""

import asyncio
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from friendli_endpoint.http.admin import admin_rejection
from friendli_endpoint.http.body import EndpointBody
from friendli_endpoint.http.middleware.body_timeout import read_body
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.http.service import Service

__all__ = ["add_adapter_routes"]

ADAPTERS = "/dedicated/v1/adapters"

MAX_CONCURRENT_LOADS = 2
"""Maximum number of adapters loaded at once; other requests wait without occupying a thread."""


_ADMIN_RESPONSES: dict[int | str, dict[str, Any]] = {
    401: {"description": "There is no valid token."},
    403: {"description": "The caller is not an administrator."},
}
_LOAD_RESPONSES = {
    **_ADMIN_RESPONSES,
    201: {"description": "The adapter is loaded."},
    400: {"description": "The body is invalid, or the file is not a LoRA for this model."},
    409: {"description": "There are `--max-adapters` adapters, and none has this route."},
}
_UNLOAD_RESPONSES = {
    **_ADMIN_RESPONSES,
    404: {"description": "There is no such adapter."},
}


class AdapterBody(EndpointBody):
    """An adapter to load.

    Attributes:
        route: Route of the adapter, for requests with `model: "ID:ROUTE"`.
        file: Path of a LoRA as a GGUF file, relative to the folder of `--adapter-dir`.
    """

    route: Annotated[str, Field(pattern=r"^[\w.\-/]{1,128}$")]
    file: Annotated[str, Field(min_length=1, max_length=1024)]


def add_adapter_routes(app: FastAPI, service: Service, policy: Policy) -> None:
    """Adds the routes to an application; only administrators may load and unload."""
    loads = asyncio.Semaphore(MAX_CONCURRENT_LOADS)

    @app.get(ADAPTERS, summary="List the adapters")
    async def adapters() -> Response:
        return JSONResponse(
            {"object": "list", "data": [_card(route) for route in service.adapters]}
        )

    @app.post(ADAPTERS, summary="Load an adapter", status_code=201, responses=_LOAD_RESPONSES)
    async def load(request: Request) -> Response:
        if rejection := admin_rejection(request, policy):
            return rejection
        content = await read_body(request, policy.max_body)
        body = await asyncio.to_thread(content.parse, AdapterBody)
        async with loads:
            await service.load_adapter(body.route, body.file)
        return JSONResponse(_card(body.route), 201)

    @app.delete(
        f"{ADAPTERS}/{{route:path}}", summary="Unload an adapter", responses=_UNLOAD_RESPONSES
    )
    async def unload(request: Request, route: str) -> Response:
        if rejection := admin_rejection(request, policy):
            return rejection
        await service.unload_adapter(route)
        return JSONResponse({**_card(route), "deleted": True})


def _card(route: str) -> dict[str, Any]:
    return {"id": route, "object": "adapter"}
