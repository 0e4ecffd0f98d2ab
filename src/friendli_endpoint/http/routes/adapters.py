"""The routes that load and unload adapters while serving."""

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

MAX_TRIALS = 2
"""Files that are tried at once; others wait, and hold no thread while they do."""


class AdapterBody(EndpointBody):
    """What is to be loaded.

    Attributes:
        route: What requests will name in `model: "ID:ROUTE"`.
        file: A LoRA as a GGUF file, as a path inside the folder of `--adapter-dir`.
    """

    route: Annotated[str, Field(pattern=r"^[\w.\-/]{1,128}$")]
    file: Annotated[str, Field(min_length=1, max_length=1024)]


def add_adapter_routes(app: FastAPI, service: Service, max_body: int) -> None:
    """Adds the routes to an application."""
    trials = asyncio.Semaphore(MAX_TRIALS)

    @app.get(ADAPTERS, summary="The adapters that requests may name")
    async def adapters() -> Response:
        return JSONResponse(
            {"object": "list", "data": [_card(route) for route in service.adapters]}
        )

    @app.post(ADAPTERS, summary="Load an adapter", status_code=201)
    async def load(request: Request) -> Response:
        body = await read_body(request, max_body)
        asked = await asyncio.to_thread(body.parse, AdapterBody)
        async with trials:
            await service.load_adapter(asked.route, asked.file)
        return JSONResponse(_card(asked.route), 201)

    @app.delete(f"{ADAPTERS}/{{route:path}}", summary="Unload an adapter")
    async def unload(route: str) -> Response:
        await service.unload_adapter(route)
        return JSONResponse({**_card(route), "deleted": True})


def _card(route: str) -> dict[str, Any]:
    return {"id": route, "object": "adapter"}
