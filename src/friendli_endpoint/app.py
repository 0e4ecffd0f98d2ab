"""Joins the rooms: settings in, an ASGI application out, the model loaded behind it."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.chat.conversation import ChatDefaults, ChatModel
from friendli_endpoint.chat.rules import Limits
from friendli_endpoint.chat.template import TemplateFault
from friendli_endpoint.engine.llama.embedded import (
    EmbeddedEngine,
    LibraryError,
    ModelError,
    locate,
    open_engine,
)
from friendli_endpoint.generation import Engine, Refusal
from friendli_endpoint.http.routes import build_app
from friendli_endpoint.http.service import Exchange
from friendli_endpoint.settings import Settings

__all__ = ["EndpointService", "StartError", "create_app"]

log = logging.getLogger("friendli_endpoint")


class StartError(Exception):
    """The endpoint cannot start; the message says why in a sentence."""


class EndpointService:
    """The model behind the routes: not there yet, or serving.

    Args:
        settings: The operator's.

    Attributes:
        embedded: The opened engine, once `load` has returned.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._chat: ChatModel | None = None
        self._created = int(time.time())
        self._closed = False
        self.embedded: EmbeddedEngine | None = None

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
        try:
            embedded = open_engine(
                locate(settings.model),
                sequences=settings.max_sequences,
                context=settings.context,
                threads=settings.threads,
            )
        except (LibraryError, ModelError) as error:
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
                limits=Limits(choices=settings.max_choices),
            )
            self._chat = ChatModel(embedded.vocabulary, template, defaults)
        except (StartError, TemplateFault, KeyError) as error:
            embedded.close()
            raise StartError(str(error.args[0])) from error
        self.embedded = embedded

    def close(self) -> None:
        """Stops the engine; what still runs fails."""
        self._closed = True
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

    def accept(self, body: DedicatedChatCompletionBody) -> Exchange:
        """Checks a request and prepares its answer.

        Raises:
            Refusal: The request cannot be served.
        """
        self._ready()
        assert self._chat is not None
        return self._chat.accept(body)

    def models(self) -> list[dict[str, Any]]:
        """A card for each endpoint id, or one in the model's own name.

        Raises:
            Refusal: 503 while the model is loading, and when the endpoint stops.
        """
        embedded = self._ready()
        return [
            {
                "id": name,
                "object": "model",
                "created": self._created,
                "owned_by": "friendli-endpoint",
                "root": embedded.name,
                "max_model_len": embedded.capacity.context,
                "vocabulary_size": embedded.vocabulary.size,
                "deterministic": True,
            }
            for name in self._settings.endpoint_id or (embedded.name,)
        ]

    def _template(self) -> str | None:
        path = self._settings.chat_template
        try:
            return path.read_text(encoding="utf-8") if path is not None else None
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"cannot read the chat template {path}: {error}") from error

    def _ready(self) -> EmbeddedEngine:
        if self.embedded is None:
            why, code = (
                ("the endpoint is shutting down", "draining")
                if self._closed
                else ("the model is not loaded yet", "loading")
            )
            raise Refusal(why, status=503, code=code, retry_after=1)
        return self.embedded


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
    settings: Settings,
    *,
    ready: Callable[[], None] = lambda: None,
    failed: Callable[[StartError], None] | None = None,
) -> FastAPI:
    """The application; it answers at once, and loads the model behind that.

    Args:
        service: What answers; loaded when the application starts, closed when it stops.
        settings: The operator's.
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
            await asyncio.to_thread(service.close)

    return build_app(service, max_body=settings.max_body, lifespan=lifespan)
