"""The model behind the routes: not there yet, or serving."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.chat.conversation import ChatDefaults, ChatModel
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.output.response_builder import ResponseBuilder
from friendli_endpoint.chat.prompt.inspection import Rendering, detokenize, rendering
from friendli_endpoint.chat.prompt.template import ChatTemplateError
from friendli_endpoint.chat.request.rules import Limits
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
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry

__all__ = ["EndpointService", "ModelSource"]

log = logging.getLogger("friendli_endpoint")

PATIENCE = 10
"""Times `step_seconds` that a step may take before the process counts as dead."""


class ModelSource(Protocol):
    """A model that can be served, whatever the engine is."""

    def check(self) -> None:
        """Looks whether what is needed is there; takes no time.

        Raises:
            StartError: It is not.
        """
        ...

    def vocabulary(self) -> Vocabulary:
        """The model's tokens, without its weights; may take a while.

        Raises:
            StartError: The model cannot be served.
        """
        ...

    def open(self, make_guide: GuideMaker, report: Callable[[StepReport], None]) -> Engine:
        """Starts an engine for the model; may take a while.

        Args:
            make_guide: Makes the guide of a choice, on the engine's thread.
            report: Called with every step, on the engine's thread; must not block or raise.

        Raises:
            StartError: The model cannot be served.
        """
        ...

    def close(self) -> None:
        """Ends what `vocabulary` or `open` is doing on another thread."""
        ...


@dataclass(frozen=True, slots=True)
class _Serving:
    """A model that has been loaded."""

    engine: Engine
    chat: ChatModel
    vocabulary: Vocabulary


class EndpointService:
    """The model behind the routes: not there yet, or serving.

    Args:
        settings: The operator's.
        source: The model.
        telemetry: Hears of requests, of the engine's steps and of constraints.

    Attributes:
        telemetry: The same.
    """

    def __init__(self, settings: Settings, source: ModelSource, telemetry: Telemetry) -> None:
        self._settings = settings
        self._source = source
        self._created = int(time.time())
        self._draining = False
        self._serving: _Serving | None = None
        self.telemetry = telemetry

    def check(self) -> None:
        """Looks whether there is a model that could be served; takes no time.

        Raises:
            StartError: There is none.
        """
        self._source.check()
        self._template()

    def load(self) -> None:
        """Loads the model; takes a second or more.

        Raises:
            StartError: There is no model to serve.
        """
        try:
            self._serving = self._load()
        except StartError:
            raise
        except RequestError as error:
            raise StartError(error.message) from error
        except Exception as error:  # whatever it is, somebody waits to hear of it
            log.debug("the model cannot be loaded", exc_info=True)
            reason = str(error) or type(error).__name__
            raise StartError(f"cannot load the model: {reason}") from error

    def drain(self) -> None:
        """Takes no more requests; those that run go on."""
        self._draining = True

    async def aclose(self) -> None:
        """Stops the engine; what still runs fails."""
        self.drain()
        self._source.close()
        serving, self._serving = self._serving, None
        if serving is not None:
            await serving.engine.aclose()

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises:
            RequestError: 503 while the model is loading, and when the endpoint stops.
        """
        return self._ready().engine

    def check_ready(self) -> None:
        """Checks that requests are served.

        Raises:
            RequestError: 503 while the model is loading, when the endpoint stops, and where the
            engine
                has ended or makes no steps.
        """
        _check_engine(self._ready().engine, self._settings.step_seconds)

    def check_live(self) -> None:
        """Checks that the process need not be replaced.

        Raises:
            RequestError: 503 where the engine has ended, or has made no step for very long.
        """
        if self._serving is not None:
            _check_engine(self._serving.engine, PATIENCE * self._settings.step_seconds)

    def prepare(self, body: DedicatedChatCompletionBody) -> ResponseBuilder:
        """Checks a request and prepares its answer.

        Raises:
            RequestError: The request cannot be served.
        """
        return self._ready().chat.prepare(body)

    def render(self, body: DedicatedChatCompletionBody) -> Rendering:
        """The prompt of a request that would be served.

        Raises:
            RequestError: The request cannot be served.
        """
        request = self.prepare(body).request
        serving = self._named(body.model)
        return rendering(request.prompt_ids, serving.vocabulary, serving.engine.card.context)

    def tokenize(self, model: str, text: str, parse_special: bool) -> list[int]:
        """Token ids of a text.

        Raises:
            RequestError: There is no such model, or no prompt could hold the text.
        """
        return self._named(model).chat.tokenize(text, parse_special)

    def detokenize(self, model: str, tokens: Sequence[int]) -> str:
        """The text of tokens; U+FFFD stands for bytes that are not UTF-8.

        Raises:
            RequestError: There is no such model or token.
        """
        serving = self._named(model)
        return detokenize(tokens, serving.vocabulary, serving.engine.card.context)

    @property
    def adapters(self) -> Sequence[str]:
        """The routes of the adapters that requests may name."""
        return self._ready().engine.card.adapters

    async def load_adapter(self, route: str, name: str) -> None:
        """Loads a file of the adapters' folder; that takes about a second.

        Raises:
            RequestError: There is no such folder or file, or it cannot be served with this model.
        """
        engine = self._ready().engine
        path = _inside(self._settings.adapter_dir, name)
        try:
            await engine.load_adapter(route, path)
        except RequestError as refusal:
            raise RequestError(
                refusal.message.replace(str(path), name),
                param=refusal.param,
                status=refusal.status,
                code=refusal.code,
                retry_after=refusal.retry_after,
            ) from refusal

    async def unload_adapter(self, route: str) -> None:
        """Takes an adapter away; requests that use it run on to their end.

        Raises:
            RequestError: There is none.
        """
        await self._ready().engine.unload_adapter(route)

    def models(self) -> list[dict[str, Any]]:
        """A card for each endpoint id, or one in the model's own name, and for its adapters.

        Raises:
            RequestError: 503 while the model is loading, and when the endpoint stops.
        """
        card = self._ready().engine.card
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

    def _load(self) -> _Serving:
        settings, metrics = self._settings, self.telemetry.metrics
        vocabulary = self._source.vocabulary()
        rules = RuleCompiler(vocabulary)
        engine = self._source.open(rules.guide, metrics.turned)
        try:
            chat = ChatModel(
                rules,
                self._template_of(engine),
                engine.card.context,
                ChatDefaults(
                    endpoint_ids=settings.endpoint_id,
                    tool_family=settings.tool_family,
                    parse_reasoning=settings.parse_reasoning,
                    json_layout=settings.json_layout,
                    limits=Limits(settings.max_choices),
                ),
                metrics.compiled,
            )
        except BaseException as error:
            asyncio.run(engine.aclose())
            if isinstance(error, ChatTemplateError | KeyError):
                raise StartError(str(error.args[0])) from error
            raise
        return _Serving(engine, chat, vocabulary)

    def _template_of(self, engine: Engine) -> str:
        template = self._template() or engine.card.chat_template
        if template is None:
            name = engine.card.name
            raise StartError(f"{name} has no chat template; name a file with --chat-template")
        return template

    def _template(self) -> str | None:
        path = self._settings.chat_template
        try:
            return read_text(path) if path is not None else None
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"cannot read the chat template {path}: {error}") from error

    def _named(self, model: str) -> _Serving:
        """The model, if it serves what a request calls its model."""
        serving = self._ready()
        route, routes = serving.chat.adapter_of(model), serving.engine.card.adapters
        if route is not None and route not in routes:
            raise unknown_adapter(route, routes)
        return serving

    def _ready(self) -> _Serving:
        if self._draining:
            message = "the endpoint is shutting down"
            raise RequestError(message, status=503, code="draining", retry_after=1)
        if self._serving is None:
            message = "the model is not loaded yet"
            raise RequestError(message, status=503, code="loading", retry_after=1)
        return self._serving


def _check_engine(engine: Engine, max_seconds: float) -> None:
    """Refuses where an engine has ended, or has made no step for so long."""
    if not engine.is_alive:
        message = "the engine failed and cannot be started again"
        raise RequestError(message, status=503, code="engine_failure")
    if engine.stalled_seconds > max_seconds:
        message = f"the engine has made no step for more than {max_seconds:g} seconds"
        raise RequestError(message, status=503, code="engine_stalled", retry_after=1)


def _inside(folder: Path | None, name: str) -> Path:
    """The file of a name in a folder, and nowhere else.

    Raises:
        RequestError: There is no folder, or the name leads out of it.
    """
    if folder is None:
        raise RequestError(
            "adapters are not loaded while serving: the endpoint was started without --adapter-dir",
            status=403,
            code="not_allowed",
        )
    try:
        path = (folder / name.replace("\0", "")).resolve()
    except (OSError, RuntimeError) as error:  # links that lead to each other
        raise RequestError(f"cannot read {name}", param="file", code="adapter_refused") from error
    if not path.is_relative_to(folder.resolve()):
        raise RequestError(
            "file must lie in the adapters' folder", param="file", code="not_allowed"
        )
    return path
