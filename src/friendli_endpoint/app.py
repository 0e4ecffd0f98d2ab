"""Builds the ASGI application from settings, with the model loaded behind it.

    uvicorn --factory friendli_endpoint.app:build

serves it with any ASGI server, configured by the environment; `friendli-endpoint serve` adds what
only a server can do: TLS, connection limits and a graceful shutdown. This is the only module that
names an engine.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from fastapi import FastAPI

from friendli_endpoint.access import policy_of, readable_secrets
from friendli_endpoint.cache import cache_folder
from friendli_endpoint.chat.decoding.rules import guide_maker
from friendli_endpoint.engine.llama.engine import LlamaOptions, LlamaSource
from friendli_endpoint.engine.llama.processors import available_threads
from friendli_endpoint.engine.remote.placement import ChildProcesses, EnginePlacement
from friendli_endpoint.engine.remote.ray.options import RayOptions
from friendli_endpoint.engine.remote.source import FleetSource, OpenerSource, SetupMaker
from friendli_endpoint.generation import StartError, reason_of
from friendli_endpoint.http.application import build_app
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.loading import ModelSource
from friendli_endpoint.service import EndpointService
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry

__all__ = ["Endpoint", "build", "create_app", "create_endpoint", "placed"]


log = logging.getLogger("friendli_endpoint")


class Endpoint(NamedTuple):
    """An application and the parts of it that a server needs.

    Attributes:
        app: The ASGI application.
        service: The service behind it, to be drained at shutdown.
        policy: Access and limits of callers.
    """

    app: FastAPI
    service: EndpointService
    policy: Policy


def build(settings: Settings | None = None) -> FastAPI:
    """Builds the ASGI application of an endpoint; its startup ends when the model is loaded.

    Args:
        settings: Settings of the endpoint; by default those of the environment.

    Raises:
        StartError: The model's files or the access settings are invalid.
    """
    return create_endpoint(settings or Settings()).app


def create_endpoint(
    settings: Settings,
    *,
    on_ready: Callable[[], None] = lambda: None,
    on_failed: Callable[[StartError], None] | None = None,
    source: ModelSource | None = None,
) -> Endpoint:
    """Creates an endpoint.

    Args:
        settings: Settings of the endpoint.
        on_ready: Called on the event loop when the model is loaded.
        on_failed: Called on the event loop if the model cannot be loaded. With it, the application
            starts at once and responds 503 until the model is loaded; without it, the application's
            startup waits for the model, and fails if it cannot be loaded.
        source: The model; None for that of the settings.

    Raises:
        StartError: The model's files or the access settings are invalid.
    """
    telemetry = Telemetry(max_teams=settings.team_limit, log_prompts=settings.log_prompts)
    service = EndpointService(settings, source or source_of(settings), telemetry)
    service.check()
    policy = policy_of(settings)
    for path in readable_secrets(settings):
        log.warning(
            "%s contains tokens and can be read by other users; run: chmod 600 %s", path, path
        )
    return Endpoint(
        create_app(service, policy, on_ready=on_ready, on_failed=on_failed), service, policy
    )


def source_of(settings: Settings) -> ModelSource:
    """Returns the model source of the settings.

    Raises:
        StartError: Settings of engines contradict each other.
    """
    return placed(model_of(settings), settings)


def model_of(settings: Settings) -> LlamaSource:
    """Returns the model of the settings, which this process or another one can open."""
    return LlamaSource(settings.model, llama_options_of(settings))


class PlaceableSource(ModelSource, OpenerSource, Protocol):
    """A model that this process or another one can open."""


def placed(model: PlaceableSource, settings: Settings) -> ModelSource:
    """Returns a model source whose engines run where the settings say.

    Raises:
        StartError: Settings of engines contradict each other.
    """
    if settings.ray is not None:
        options = ray_options_of(settings)
        return fleet_source(model, settings, options.placement, options.check)
    for name in sorted({"max_engines", "ray_app"} & settings.model_fields_set):
        raise StartError(f"--{name.replace('_', '-')} needs --ray")
    if not settings.engines:
        return model

    def children(setup: SetupMaker) -> ChildProcesses:
        return ChildProcesses(setup(), settings.engines, settings.step_seconds)

    return fleet_source(model, settings, children, ChildProcesses.check)


def fleet_source(
    model: OpenerSource,
    settings: Settings,
    place: Callable[[SetupMaker], EnginePlacement],
    check: Callable[[], None],
) -> FleetSource:
    """Returns a model source whose engines run elsewhere; the arguments are those of its class."""
    return FleetSource(model, guide_maker, settings.step_seconds, place, check)


def llama_options_of(settings: Settings) -> LlamaOptions:
    """Returns the options of one engine."""
    engines = max(1, settings.engines)
    adapters = (adapter.partition("=") for adapter in settings.adapter)
    return LlamaOptions(
        sequences=settings.max_sequences,
        context=settings.context,
        threads=settings.threads,
        split_q4_1=settings.repack == "auto",
        repack_into=cache_folder() / "repacked" if settings.repack == "q8_0" else None,
        library=settings.library,
        gpu_layers=settings.gpu_layers,
        drafts=settings.speculation,
        max_queue=-(-settings.max_queue // engines),
        max_queue_tokens=-(-settings.max_queue_tokens // engines),
        max_queue_bytes=-(-settings.max_queue_bytes // engines),
        max_memory=settings.max_memory,
        adapters={route: Path(path) for route, _, path in adapters},
        num_engines=engines,
        prefix_cache=settings.prefix_cache,
        prefix_cache_bytes=settings.prefix_cache_size,
    )


def ray_options_of(settings: Settings) -> RayOptions:
    """Returns the options of engines in a Ray cluster.

    Raises:
        StartError: Settings of engines contradict each other.
    """
    engines = max(1, settings.engines)
    max_engines = settings.max_engines or engines
    if max_engines < engines:
        raise StartError(f"--max-engines is {max_engines}, but --engines is {engines}")
    model = (settings.model, llama_options_of(settings), settings.step_seconds)
    return RayOptions(
        address=settings.ray or "auto",
        app=settings.ray_app,
        num_engines=engines,
        max_engines=max_engines,
        threads=settings.threads,
        available_threads=available_threads(),
        choices=settings.max_sequences,
        max_stalled=settings.step_seconds,
        max_answer_seconds=settings.timeout,
        settings=repr(model),
    )


def create_app(
    service: EndpointService,
    policy: Policy,
    *,
    on_ready: Callable[[], None] = lambda: None,
    on_failed: Callable[[StartError], None] | None = None,
) -> FastAPI:
    """Creates the application of a service, which is loaded and closed by the lifespan.

    Args:
        service: The service.
        policy: Access and limits of callers.
        on_ready: As for `create_endpoint`.
        on_failed: As for `create_endpoint`.
    """

    async def load() -> None:
        try:
            await asyncio.to_thread(service.load)
        except StartError as error:
            if service.is_draining:
                return  # a shutdown interrupts the loading
            if on_failed is None:
                raise
            on_failed(error)
        except Exception as error:  # the thread cannot be started
            failure = StartError(f"cannot load the model: {reason_of(error)}")
            if on_failed is None:
                raise failure from error
            on_failed(failure)
        else:
            if not service.is_draining:
                on_ready()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        loading = asyncio.ensure_future(load())
        if on_failed is None:
            await loading
        try:
            yield
        finally:
            await loading
            await service.aclose()

    return build_app(service, policy, lifespan, service.telemetry)
