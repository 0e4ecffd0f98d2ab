"""Routes that list, load and unload adapters at runtime."""

import asyncio
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from friendli_endpoint.http.body import EndpointBody
from friendli_endpoint.http.middleware.body_timeout import read_body
from friendli_endpoint.http.service import Service

__all__ = ["add_adapter_routes"]

ADAPTERS = "/dedicated/v1/adapters"

MAX_CONCURRENT_LOADS = 2
"""Maximum number of adapters loaded at once; other requests wait without occupying a thread."""


class AdapterBody(EndpointBody):
    """An adapter to load.

    Attributes:
        route: Route of the adapter, for requests with `model: "ID:ROUTE"`.
        file: Path of a LoRA as a GGUF file, relative to the folder of `--adapter-dir`.
    """

    route: Annotated[str, Field(pattern=r"^[\w.\-/]{1,128}$")]
    file: Annotated[str, Field(min_length=1, max_length=1024)]


def add_adapter_routes(app: FastAPI, service: Service, max_body: int) -> None:
    """Adds the routes to an application."""
    loads = asyncio.Semaphore(MAX_CONCURRENT_LOADS)

    @app.get(ADAPTERS, summary="List the adapters")
    async def adapters() -> Response:
        return JSONResponse(
            {"object": "list", "data": [_card(route) for route in service.adapters]}
        )

    @app.post(ADAPTERS, summary="Load an adapter", status_code=201)
    async def load(request: Request) -> Response:
        content = await read_body(request, max_body)
        body = await asyncio.to_thread(content.parse, AdapterBody)
        async with loads:
            await service.load_adapter(body.route, body.file)
        return JSONResponse(_card(body.route), 201)

    @app.delete(f"{ADAPTERS}/{{route:path}}", summary="Unload an adapter")
    async def unload(route: str) -> Response:
        await service.unload_adapter(route)
        return JSONResponse({**_card(route), "deleted": True})


def _card(route: str) -> dict[str, Any]:
    return {"id": route, "object": "adapter"}
