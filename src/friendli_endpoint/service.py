"""The service behind the routes: a model that is loading or serving."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.adapters import AdapterLoader
from friendli_endpoint.chat.conversation import ChatDefaults, ChatModel
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.output.response_builder import ResponseBuilder
from friendli_endpoint.chat.prompt.inspection import Rendering, detokenize, rendering
from friendli_endpoint.chat.prompt.template import ChatTemplateError
from friendli_endpoint.chat.request.rules import Limits
from friendli_endpoint.chat.worker import FACTORY
from friendli_endpoint.files import read_text
from friendli_endpoint.generation import (
    Engine,
    GuideMaker,
    RequestError,
    StartError,
    StepReport,
    Vocabulary,
    unknown_adapter,
)
from friendli_endpoint.preparation import Preparer, ThreadPreparer, WorkerPreparer
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry
from friendli_endpoint.workers import Setup, WorkerPool, WorkerStartError

__all__ = ["EndpointService", "ModelSource"]

log = logging.getLogger("friendli_endpoint")

MAX_WORKERS = 4
"""Default for machines with more processors: preparing a request takes some milliseconds."""

WORKER_MEMORY = 2 << 30
"""Bytes of address space that preparing a request may take; the longest prompts need 1.4 GiB of
stack to be tokenized, most of which is never used."""

WORKER_WAIT_SECONDS = 10.0
"""Time for which a request may wait for a worker."""

LIVENESS_FACTOR = 10
"""Multiple of `step_seconds` without a step after which `/live` fails."""


class ModelSource(Protocol):
    """A model that can be served, with its engine.

    `vocabulary`, `vocabulary_loader` and `open` are called once, in this order, in a worker thread.
    """

    def check(self) -> None:
        """Checks that the files of the model exist; returns at once.

        Raises:
            StartError: A file is missing.
        """
        ...

    def vocabulary(self) -> Vocabulary:
        """Loads the model's vocabulary without its weights; may block for seconds.

        Raises:
            StartError: The model cannot be served.
        """
        ...

    def vocabulary_loader(self) -> Callable[[], Vocabulary]:
        """Returns a function that loads the vocabulary in another process; it can be pickled."""
        ...

    def open(self, make_guide: GuideMaker, report: Callable[[StepReport], None]) -> Engine:
        """Loads the model and starts its engine; may block for seconds.

        Args:
            make_guide: Makes the guide of a choice; called on the engine's thread.
            report: Called after every step, on the engine's thread; must not block or raise.

        Raises:
            StartError: The model cannot be served.
        """
        ...

    def close(self) -> None:
        """Interrupts `vocabulary` or `open` on another thread; returns at once."""
        ...


@dataclass(frozen=True, slots=True)
class _LoadedModel:
    """A loaded model and its engine."""

    engine: Engine
    chat: ChatModel
    preparer: Preparer
    vocabulary: Vocabulary


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
        self._model: _LoadedModel | None = None
        self.telemetry = telemetry

    def check(self) -> None:
        """Checks that the files of the model and the chat template can be read; returns at once.

        Raises:
            StartError: A file is missing or cannot be read, or there are too many adapters.
        """
        self._source.check()
        self._template()
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
            self._model = self._load()
        except StartError:
            raise
        except RequestError as error:
            raise StartError(error.message) from error
        except Exception as error:  # any exception must reach `on_failed`
            log.debug("the model cannot be loaded", exc_info=True)
            reason = str(error) or type(error).__name__
            raise StartError(f"cannot load the model: {reason}") from error

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

    def check_ready(self) -> None:
        """Checks that requests are served.

        Raises:
            RequestError: 503 while the model is loading, during shutdown, and if the engine has
                ended or has made no step for `step_seconds` although there is work.
        """
        _check_engine(self._loaded_model().engine, self._settings.step_seconds)

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
        prepared = await model.preparer.prepare(body)
        return await asyncio.to_thread(model.chat.respond, prepared)

    async def render(self, body: DedicatedChatCompletionBody) -> Rendering:
        """Renders the prompt of a request.

        Raises:
            RequestError: The request is invalid or cannot be served.
        """
        model = self._find_model(body.model)
        ids = (await model.preparer.prepare(body)).request.prompt_ids
        return await asyncio.to_thread(rendering, ids, model.vocabulary, model.engine.card.context)

    def tokenize(self, model: str, text: str, parse_special: bool) -> list[int]:
        """Returns the token ids of a text.

        Raises:
            RequestError: There is no such model, or the text has more tokens than the context.
        """
        return self._find_model(model).chat.tokenize(text, parse_special)

    def detokenize(self, model: str, tokens: Sequence[int]) -> str:
        """Returns the text of tokens; U+FFFD stands for bytes that are not UTF-8.

        Raises:
            RequestError: There is no such model or token, or the tokens exceed the context.
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
            RequestError: There is no such folder or file, it is not an adapter for this model, or
                there are too many adapters (409).
        """
        await self._adapters.load(self._loaded_model().engine, route, name)

    async def unload_adapter(self, route: str) -> None:
        """Unloads an adapter; requests that use it run to their end.

        Raises:
            RequestError: There is no such adapter.
        """
        await self._loaded_model().engine.unload_adapter(route)

    def models(self) -> list[dict[str, Any]]:
        """Returns a card for each endpoint id, or for the model's name, and for each adapter.

        Raises:
            RequestError: 503 while the model is loading and during shutdown.
        """
        card = self._loaded_model().engine.card
        names = self._settings.endpoint_id or (card.name,)
        fields = {
            "object": "model",
            "created": self._created,
            "owned_by": "friendli-endpoint",
            "root": card.name,
            "max_model_len": card.context,
            "vocabulary_size": card.vocabulary_size,
            "deterministic": card.deterministic,
        }
        cards: list[dict[str, Any]] = [{"id": name, **fields} for name in names]
        return cards + [
            {"id": f"{name}:{route}", **fields, "parent": name}
            for name in names
            for route in card.adapters
        ]

    def _load(self) -> _LoadedModel:
        vocabulary = self._source.vocabulary()
        with contextlib.ExitStack() as stack:
            pool = self._worker_pool()  # loads while the engine opens
            if pool is not None:
                stack.callback(pool.close)
            rules = RuleCompiler(vocabulary)
            engine = self._source.open(rules.guide, self.telemetry.metrics.record_step)
            stack.callback(lambda: asyncio.run(engine.aclose()))
            try:
                chat, preparer = self._chat(rules, engine, pool)
            except (ChatTemplateError, KeyError, WorkerStartError) as error:
                raise StartError(str(error.args[0])) from error
            stack.pop_all()
        return _LoadedModel(engine, chat, preparer, vocabulary)

    def _worker_pool(self) -> WorkerPool | None:
        size = self._settings.workers
        if size is None:
            size = min(os.cpu_count() or 1, MAX_WORKERS) if hasattr(os, "fork") else 0
        if size == 0:
            return None
        loader = self._source.vocabulary_loader()
        setup = Setup(FACTORY, (loader,), self._settings.prepare_seconds, WORKER_MEMORY)
        return WorkerPool(setup, size=size, wait_seconds=WORKER_WAIT_SECONDS)

    def _chat(
        self, rules: RuleCompiler, engine: Engine, pool: WorkerPool | None
    ) -> tuple[ChatModel, Preparer]:
        settings, metrics = self._settings, self.telemetry.metrics
        template, context = self._template_of(engine), engine.card.context
        defaults = ChatDefaults(
            endpoint_ids=settings.endpoint_id,
            tool_family=settings.tool_family,
            parse_reasoning=settings.parse_reasoning,
            json_layout=settings.json_layout,
            limits=Limits(settings.max_choices),
        )
        chat = ChatModel(rules, template, context, defaults, metrics.record_compile)
        if pool is None:
            return chat, ThreadPreparer(chat)
        pool.start(template, context, defaults)
        return chat, WorkerPreparer(pool, settings.prepare_seconds, metrics.record_compile)

    def _template_of(self, engine: Engine) -> str:
        template = self._template() or engine.card.chat_template
        if template is None:
            name = engine.card.name
            raise StartError(f"{name} has no chat template; set --chat-template")
        return template

    def _template(self) -> str | None:
        path = self._settings.chat_template
        try:
            return read_text(path) if path is not None else None
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"cannot read the chat template {path}: {error}") from error

    def _find_model(self, name: str) -> _LoadedModel:
        """Returns the loaded model if `name`, as in requests, refers to it or its adapters."""
        model = self._loaded_model()
        route, routes = model.chat.adapter_of(name), model.engine.card.adapters
        if route is not None and route not in routes:
            raise unknown_adapter(route, routes)
        return model

    def _loaded_model(self) -> _LoadedModel:
        if self._draining:
            message = "the endpoint is shutting down"
            raise RequestError(message, status=503, code="draining", retry_after=1)
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
