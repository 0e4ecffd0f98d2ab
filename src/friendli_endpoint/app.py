"""Joins the parts: settings in, an ASGI application out, the model loaded behind it.

    uvicorn --factory friendli_endpoint.app:build

serves it with any ASGI server, set up by the environment; `friendli-endpoint serve` adds what only
a server can do: TLS, bounds on connections, and an end in order. This is the only module that names
an engine.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from fastapi import FastAPI

from friendli_endpoint.access import policy_of
from friendli_endpoint.cache import cache_folder
from friendli_endpoint.engine.llama.engine import LlamaOptions, LlamaSource
from friendli_endpoint.generation import StartError
from friendli_endpoint.http.application import build_app
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.service import EndpointService, ModelSource
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry

__all__ = ["Endpoint", "build", "create_app", "joined"]


class Endpoint(NamedTuple):
    """An application, and the parts of it that a server deals with.

    Attributes:
        app: The ASGI application.
        service: What answers; to be told when no more requests are to be taken.
        policy: Who may call, and how much they may ask for.
    """

    app: FastAPI
    service: EndpointService
    policy: Policy


def build(settings: Settings | None = None) -> FastAPI:
    """The ASGI application of an endpoint; its lifespan ends with the model loaded.

    Args:
        settings: The operator's; by default those of the environment.

    Raises:
        StartError: There is no model that could be served, or others could call by mistake.
    """
    return joined(settings or Settings()).app


def joined(
    settings: Settings,
    *,
    ready: Callable[[], None] = lambda: None,
    failed: Callable[[StartError], None] | None = None,
) -> Endpoint:
    """An endpoint.

    Args:
        settings: The operator's.
        ready: Called when the model is loaded.
        failed: Called when it cannot be, while the application answers 503; without it the
            application does not start before the model is loaded, or fails to.

    Raises:
        StartError: There is no model that could be served, or others could call by mistake.
    """
    telemetry = Telemetry(max_teams=settings.team_limit, log_prompts=settings.log_prompts)
    service = EndpointService(settings, source_of(settings), telemetry)
    service.check()
    policy = policy_of(settings)
    return Endpoint(create_app(service, policy, ready=ready, failed=failed), service, policy)


def source_of(settings: Settings) -> ModelSource:
    """The model that settings name."""
    given = (adapter.partition("=") for adapter in settings.adapter)
    options = LlamaOptions(
        sequences=settings.max_sequences,
        context=settings.context,
        threads=settings.threads,
        split_q4_1=settings.repack == "auto",
        repack_into=cache_folder() / "repacked" if settings.repack == "q8_0" else None,
        drafts=settings.speculation,
        max_queue=settings.max_queue,
        max_queue_tokens=settings.max_queue_tokens,
        max_queue_bytes=settings.max_queue_bytes,
        max_memory=settings.max_memory,
        adapters={route: Path(path) for route, _, path in given},
    )
    return LlamaSource(settings.model, options)


def create_app(
    service: EndpointService,
    policy: Policy,
    *,
    ready: Callable[[], None] = lambda: None,
    failed: Callable[[StartError], None] | None = None,
) -> FastAPI:
    """The application over a service, which is loaded and closed with it.

    Args:
        service: What answers.
        policy: Who may call, and how much they may ask for.
        ready: Called when the model is loaded.
        failed: As for `joined`.
    """

    async def load() -> None:
        try:
            await asyncio.to_thread(service.load)
        except StartError as error:
            if failed is None:
                raise
            failed(error)
        else:
            ready()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        loading = asyncio.ensure_future(load())
        if failed is None:
            await loading
        try:
            yield
        finally:
            await loading
            await service.aclose()

    return build_app(service, policy, lifespan, service.telemetry)
