"""The service behind the routes: a model that is loading or serving."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.adapters import AdapterLoader
from friendli_endpoint.chat.output.response_builder import ResponseBuilder
from friendli_endpoint.chat.prompt.inspection import Rendering, detokenize, rendering
from friendli_endpoint.generation import (
    Engine,
    RequestError,
    StartError,
    draining_error,
    reason_of,
    unknown_adapter,
)
from friendli_endpoint.loading import LoadedModel, ModelSource, load_model, read_template
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry

__all__ = ["EndpointService"]

log = logging.getLogger("friendli_endpoint")

LIVENESS_FACTOR = 10
"""Multiple of `step_seconds` without a step after which `/live` fails."""


class EndpointService:
    """The service behind the routes: a model that is loading or serving.

    Args:
        settings: Settings of the endpoint.
        source: The model to serve.
        telemetry: Receives requests, the engine's steps and compilations of constraints.

    Attributes:
        telemetry: The telemetry.
    """

    def __init__(self, settings: Settings, source: ModelSource, telemetry: Telemetry) -> None:
        self._settings = settings
        self._source = source
        self._created = int(time.time())
        self._draining = False
        self._adapters = AdapterLoader(settings.adapter_dir, settings.max_adapters)
        self._model: LoadedModel | None = None
        self.telemetry = telemetry

    def check(self) -> None:
        """Checks that the files of the model and the chat template can be read; returns at once.

        Raises:
            StartError: A file is missing or cannot be read, or there are too many adapters.
        """
        self._source.check()
        read_template(self._settings)
        routes = {adapter.partition("=")[0] for adapter in self._settings.adapter}
        if len(routes) > (max_adapters := self._settings.max_adapters):
            raise StartError(
                f"--adapter names {len(routes)} adapters, but --max-adapters is {max_adapters}"
            )

    def load(self) -> None:
        """Loads the model; takes a second or more.

        Raises:
            StartError: The model cannot be served.
        """
        try:
            self._model = load_model(self._source, self._settings, self.telemetry.metrics)
        except StartError:
            raise
        except RequestError as error:
            raise StartError(error.message) from error
        except Exception as error:  # any exception must reach `on_failed`
            log.debug("the model cannot be loaded", exc_info=True)
            raise StartError(f"cannot load the model: {reason_of(error)}") from error

    @property
    def is_draining(self) -> bool:
        """Whether the endpoint is shutting down."""
        return self._draining

    def drain(self) -> None:
        """Rejects new requests from now on; running requests continue."""
        self._draining = True

    async def aclose(self) -> None:
        """Stops the engine; running requests fail."""
        self.drain()
        self._source.close()
        model, self._model = self._model, None
        if model is not None:
            await asyncio.to_thread(model.preparer.close)
            await model.engine.aclose()

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises:
            RequestError: 503 while the model is loading and during shutdown.
        """
        return self._loaded_model().engine

    @property
    def tool_family(self) -> str | None:
        """Name of the format of tool calls; None if it is unknown, so that tools are refused.

        Raises:
            RequestError: 503 while the model is loading and during shutdown.
        """
        return self._loaded_model().chat.tool_family

    def check_ready(self) -> None:
        """Checks that requests are served.

        Raises:
            RequestError: 503 while the model is loading, during shutdown, while the engine is
                being started again, and if it has ended or has made no step for `step_seconds`
                although there is work.
        """
        engine = self._loaded_model().engine
        _check_engine(engine, self._settings.step_seconds)
        if not engine.num_ready:
            message = "the engine is being started again"
            raise RequestError(message, status=503, code="engine_starting", retry_after=1)

    def check_live(self) -> None:
        """Checks that the process need not be restarted.

        Raises:
            RequestError: 503 if the engine has ended, or has made no step for
                `LIVENESS_FACTOR * step_seconds` although there is work.
        """
        if self._model is not None:
            _check_engine(self._model.engine, LIVENESS_FACTOR * self._settings.step_seconds)

    async def prepare(self, body: DedicatedChatCompletionBody) -> ResponseBuilder:
        """Validates a request and prepares its response; cancelling it ends the work.

        Raises:
            RequestError: The request is invalid or cannot be served.
        """
        model = self._loaded_model()
        preparing = model.preparer.prepare(body)
        del body  # a preparer keeps it no longer than it needs it
        prepared = await preparing
        return await asyncio.to_thread(model.chat.respond, prepared)

    async def render(self, body: DedicatedChatCompletionBody) -> Rendering:
        """Renders the prompt of a request.

        Raises:
            RequestError: The request is invalid or cannot be served.
        """
        model = self._find_model(body.model)
        ids = (await model.preparer.prepare(body)).request.prompt_ids
        return await asyncio.to_thread(rendering, ids, model.vocabulary, model.engine.card.context)

    async def tokenize(self, model: str, text: str, parse_special: bool) -> list[int]:
        """Returns the token ids of a text; cancelling it ends the work.

        Raises:
            RequestError: The model does not exist, or the text has more tokens than the context.
        """
        return await self._find_model(model).preparer.tokenize(text, parse_special)

    def detokenize(self, model: str, tokens: Sequence[int]) -> str:
        """Returns the text of tokens; U+FFFD stands for bytes that are not UTF-8.

        Raises:
            RequestError: A token or the model does not exist, or the tokens exceed the context.
        """
        loaded = self._find_model(model)
        return detokenize(tokens, loaded.vocabulary, loaded.engine.card.context)

    @property
    def adapters(self) -> Sequence[str]:
        """Routes of the loaded adapters."""
        return self._loaded_model().engine.card.adapters

    async def load_adapter(self, route: str, name: str) -> None:
        """Loads an adapter from the adapters' folder; takes about a second.

        Raises:
            RequestError: The folder or file is missing, it is not an adapter for this model, or
                there are too many adapters (409).
        """
        await self._adapters.load(self._loaded_model().engine, route, name)

    async def unload_adapter(self, route: str) -> None:
        """Unloads an adapter; requests that use it run to their end.

        Raises:
            RequestError: The adapter does not exist.
        """
        await self._loaded_model().engine.unload_adapter(route)

    def models(self) -> list[dict[str, Any]]:
        """Returns a card for each endpoint id, or for the model's name, and for each adapter.

        Raises:
            RequestError: 503 while the model is loading and during shutdown.
        """
        model = self._loaded_model()
        card = model.engine.card
        names = self._settings.endpoint_id or (card.name,)
        fields = {
            "object": "model",
            "created": self._created,
            "owned_by": "friendli-endpoint",
            "root": card.name,
            "max_model_len": card.context,
            "vocabulary_size": card.vocabulary_size,
            "deterministic": card.deterministic,
            "devices": card.devices,
            "tool_family": model.chat.tool_family,
        }
        cards: list[dict[str, Any]] = [{"id": name, **fields} for name in names]
        return cards + [
            {"id": f"{name}:{route}", **fields, "parent": name}
            for name in names
            for route in card.adapters
        ]

    def _find_model(self, name: str) -> LoadedModel:
        """Returns the loaded model if `name`, as in requests, refers to it or its adapters."""
        model = self._loaded_model()
        route, routes = model.chat.adapter_of(name), model.engine.card.adapters
        if route is not None and route not in routes:
            raise unknown_adapter(route, routes)
        return model

    def _loaded_model(self) -> LoadedModel:
        if self._draining:
            raise draining_error()
        if self._model is None:
            message = "the model is not loaded yet"
            raise RequestError(message, status=503, code="loading", retry_after=1)
        return self._model


def _check_engine(engine: Engine, max_seconds: float) -> None:
    """Raises a 503 if an engine has ended, or has made no step for more than `max_seconds`."""
    if not engine.is_alive:
        message = "the engine failed and cannot be started again"
        raise RequestError(message, status=503, code="engine_failure")
    if engine.stalled_seconds > max_seconds:
        message = f"the engine has been stalled for more than {max_seconds:g} seconds"
        raise RequestError(message, status=503, code="engine_stalled", retry_after=1)
