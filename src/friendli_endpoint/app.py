"""Joins the rooms: settings in, an ASGI application out, the model loaded behind it."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.cache import cache_folder
from friendli_endpoint.chat.conversation import ChatDefaults, ChatModel
from friendli_endpoint.chat.prompt.inspection import Rendering, detokenize, rendering
from friendli_endpoint.chat.prompt.template import TemplateFault
from friendli_endpoint.chat.request.rules import Limits
from friendli_endpoint.engine.core.adapters import unknown_adapter
from friendli_endpoint.engine.llama.engine import (
    EmbeddedEngine,
    LibraryError,
    ModelError,
    locate,
    open_engine,
)
from friendli_endpoint.engine.llama.gguf.repack import RepackError, repack
from friendli_endpoint.engine.llama.trials import Trials
from friendli_endpoint.files import read_text
from friendli_endpoint.generation import Engine, Refusal
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.http.routes import build_app
from friendli_endpoint.http.service import Exchange
from friendli_endpoint.own_thread import on_own_thread
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry

__all__ = ["EndpointService", "StartError", "create_app"]

log = logging.getLogger("friendli_endpoint")

PATIENCE = 10
"""Times `step_seconds` that a step may take before the process counts as dead."""


class StartError(Exception):
    """The endpoint cannot start; the message says why in a sentence."""


class EndpointService:
    """The model behind the routes: not there yet, or serving.

    Args:
        settings: The operator's.

    Attributes:
        embedded: The opened engine, once `load` has returned.
        telemetry: Hears of requests, of the engine's turns and of constraints.
    """

    _model: Path
    """The file that is served, once `load` has returned."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._chat: ChatModel | None = None
        self._created = int(time.time())
        self._draining = False
        self._trials = Trials()
        self.embedded: EmbeddedEngine | None = None
        self.telemetry = Telemetry(most_teams=settings.team_limit, log_prompts=settings.log_prompts)

    def check(self) -> None:
        """Looks whether there is a C library and a file that can be a model; takes no time.

        Raises:
            StartError: There is not.
        """
        try:
            locate(self._settings.model)
            self._template()
        except (LibraryError, ModelError) as error:
            raise StartError(str(error)) from error

    def load(self) -> None:
        """Loads the model; takes a second or more.

        Raises:
            StartError: There is no model to serve.
        """
        settings = self._settings
        given = (adapter.partition("=") for adapter in settings.adapter)
        adapters = {route: Path(path) for route, _, path in given}
        try:
            model = locate(settings.model)
            if settings.repack == "q8_0":
                model = repack(model, cache_folder() / "repacked")
            self._trials.try_model(model)
            self._trials.try_adapters(model, list(adapters.values()))
            embedded = open_engine(
                model,
                sequences=settings.max_sequences,
                context=settings.context,
                threads=settings.threads,
                parts=settings.repack == "auto",
                drafts=settings.speculation,
                max_queue=settings.max_queue,
                max_queue_tokens=settings.max_queue_tokens,
                report=self.telemetry.metrics.turned,
            )
        except (LibraryError, ModelError, RepackError) as error:
            raise StartError(str(error)) from error
        try:
            template = self._template() or embedded.template
            if template is None:
                raise StartError(
                    f"{embedded.name} has no chat template; name a file with --chat-template"
                )
            defaults = ChatDefaults(
                endpoint_ids=settings.endpoint_id,
                tool_family=settings.tool_family,
                parse_reasoning=settings.parse_reasoning,
                json_layout=settings.json_layout,
                limits=Limits(settings.max_choices, settings.max_messages),
            )
            self._chat = ChatModel(
                embedded.vocabulary, template, defaults, self.telemetry.metrics.compiled
            )
            for route, path in adapters.items():
                embedded.engine.load_adapter(route, path)
        except (StartError, TemplateFault, ModelError, KeyError) as error:
            embedded.close()
            raise StartError(str(error.args[0])) from error
        self._model = model
        self.embedded = embedded

    def drain(self) -> None:
        """Takes no more requests; those that run go on."""
        self._draining = True

    def close(self) -> None:
        """Stops the engine; what still runs fails."""
        self.drain()
        self._trials.close()
        embedded, self.embedded = self.embedded, None
        if embedded is not None:
            embedded.close()

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises:
            Refusal: 503 while the model is loading, and when the endpoint stops.
        """
        return self._ready().engine

    def check_ready(self) -> None:
        """Checks that requests are served.

        Raises:
            Refusal: 503 while the model is loading, when the endpoint stops, and where the engine
                has ended or makes no steps.
        """
        _check_engine(self._ready().engine, self._settings.step_seconds)

    def check_live(self) -> None:
        """Checks that the process need not be replaced.

        Raises:
            Refusal: 503 where the engine has ended, or has made no step for very long.
        """
        if self.embedded is not None:
            _check_engine(self.embedded.engine, PATIENCE * self._settings.step_seconds)

    def accept(self, body: DedicatedChatCompletionBody) -> Exchange:
        """Checks a request and prepares its answer.

        Raises:
            Refusal: The request cannot be served.
        """
        self._ready()
        assert self._chat is not None
        return self._chat.accept(body)

    def render(self, body: DedicatedChatCompletionBody) -> Rendering:
        """The prompt of a request that would be served.

        Raises:
            Refusal: The request cannot be served.
        """
        request = self.accept(body).request
        return rendering(request.prompt, self._named(body.model).vocabulary)

    def tokenize(self, model: str, text: str, parse_special: bool) -> list[int]:
        """Token ids of a text.

        Raises:
            Refusal: There is no such model, or no prompt could hold the text.
        """
        self._named(model)
        assert self._chat is not None
        return self._chat.tokenize(text, parse_special)

    def detokenize(self, model: str, tokens: Sequence[int]) -> str:
        """What tokens say together; U+FFFD stands for bytes that are no UTF-8.

        Raises:
            Refusal: There is no such model or token.
        """
        return detokenize(tokens, self._named(model).vocabulary)

    @property
    def adapters(self) -> Sequence[str]:
        """The routes of the adapters that requests may name."""
        return self._ready().engine.adapters

    def load_adapter(self, route: str, name: str) -> None:
        """Loads a file of the adapters' folder, once a process of its own has tried it.

        That takes about a second, of the caller's thread.

        Raises:
            Refusal: There is no such folder or file, or it cannot be served with this model.
        """
        engine = self._ready().engine
        path = _inside(self._settings.adapter_dir, name)
        try:
            with self._trials.tried_copy(self._model, path) as copy:
                engine.load_adapter(route, copy)
        except ModelError as error:
            raise Refusal(
                str(error).replace(str(path), name), param="file", code="adapter_refused"
            ) from error

    def unload_adapter(self, route: str) -> None:
        """Takes an adapter away; what uses it runs on to its end.

        Raises:
            Refusal: There is none.
        """
        self._ready().engine.unload_adapter(route)

    def models(self) -> list[dict[str, Any]]:
        """A card for each endpoint id, or one in the model's own name, and for its adapters.

        Raises:
            Refusal: 503 while the model is loading, and when the endpoint stops.
        """
        embedded = self._ready()
        names = self._settings.endpoint_id or (embedded.name,)
        card = {
            "object": "model",
            "created": self._created,
            "owned_by": "friendli-endpoint",
            "root": embedded.name,
            "max_model_len": embedded.capacity.context,
            "vocabulary_size": embedded.vocabulary.size,
            "deterministic": True,
        }
        cards: list[dict[str, Any]] = [{"id": name, **card} for name in names]
        routes = embedded.engine.adapters
        return cards + [
            {"id": f"{name}:{route}", **card, "parent": name} for name in names for route in routes
        ]

    def _template(self) -> str | None:
        path = self._settings.chat_template
        try:
            return read_text(path) if path is not None else None
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"cannot read the chat template {path}: {error}") from error

    def _named(self, model: str) -> EmbeddedEngine:
        """The engine, if it serves what a request calls its model."""
        embedded = self._ready()
        assert self._chat is not None
        route, routes = self._chat.adapter_of(model), embedded.engine.adapters
        if route is not None and route not in routes:
            raise unknown_adapter(route, routes)
        return embedded

    def _ready(self) -> EmbeddedEngine:
        if self._draining:
            message = "the endpoint is shutting down"
            raise Refusal(message, status=503, code="draining", retry_after=1)
        if self.embedded is None:
            message = "the model is not loaded yet"
            raise Refusal(message, status=503, code="loading", retry_after=1)
        return self.embedded


def _check_engine(engine: Engine, max_seconds: float) -> None:
    """Refuses where an engine has ended, or has made no step for so long."""
    if not engine.is_alive:
        message = "the engine failed and cannot be started again"
        raise Refusal(message, status=503, code="engine_failure")
    if engine.stalled_seconds > max_seconds:
        message = f"the engine has made no step for more than {max_seconds:g} seconds"
        raise Refusal(message, status=503, code="engine_stalled", retry_after=1)


def _inside(folder: Path | None, name: str) -> Path:
    """The file of a name in a folder, and nowhere else.

    Raises:
        Refusal: There is no folder, or the name leads out of it.
    """
    if folder is None:
        raise Refusal(
            "adapters are not loaded while serving: the endpoint was started without --adapter-dir",
            status=403,
            code="not_allowed",
        )
    try:
        path = (folder / name.replace("\0", "")).resolve()
    except (OSError, RuntimeError) as error:  # links that lead to each other
        raise Refusal(f"cannot read {name}", param="file", code="adapter_refused") from error
    if not path.is_relative_to(folder.resolve()):
        raise Refusal("file must lie in the adapters' folder", param="file", code="not_allowed")
    return path


def _load(service: EndpointService) -> None:
    """Loads the model; whatever goes wrong is a `StartError`, or nobody would hear of it."""
    try:
        service.load()
    except StartError:
        raise
    except Exception as error:
        log.debug("the model cannot be loaded", exc_info=True)
        raise StartError(f"cannot load the model: {str(error) or type(error).__name__}") from error


def create_app(
    service: EndpointService,
    policy: Policy,
    *,
    ready: Callable[[], None] = lambda: None,
    failed: Callable[[StartError], None] | None = None,
) -> FastAPI:
    """The application; it answers at once, and loads the model behind that.

    Args:
        service: What answers; loaded when the application starts, closed when it stops.
        policy: Who may call, and how much they may ask for.
        ready: Called when the model is loaded.
        failed: Called when it cannot be; without it the application fails to start instead.
    """

    async def load() -> None:
        try:
            await asyncio.to_thread(_load, service)
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
            await on_own_thread(service.close)

    return build_app(service, policy, lifespan, service.telemetry)
