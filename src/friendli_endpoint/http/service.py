"""Protocols that the routes use for the rest of the endpoint; `app.py` passes implementations."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from friendli.models import (
    ContainerChatCompleteSuccess,
    DedicatedChatCompletionBody,
    StreamedChatData,
)
from friendli_endpoint.generation import Engine, Event, GenerationRequest

__all__ = ["PendingResponse", "RenderedPrompt", "Service", "TextOnlyChunk"]


class TextOnlyChunk(Protocol):
    """A chunk with text of one choice and nothing else."""

    @property
    def choice(self) -> int:
        """Index of the choice, from 0."""
        ...

    @property
    def text(self) -> str:
        """Text to append to the choice's content."""
        ...


class PendingResponse(Protocol):
    """A prepared request, and its response as the engine's events come in.

    Used by one task on the event loop: `opening` once, then `read` for every event in order until
    `finished`, then `completion` if the response is not streamed.
    """

    request: GenerationRequest
    """The request for the engine."""
    num_generated: int
    """Number of tokens generated so far by all choices."""

    @property
    def finished(self) -> bool:
        """Whether every choice has finished."""
        ...

    def opening(self) -> Sequence[StreamedChatData]:
        """Returns the chunks that are sent before the first token."""
        ...

    def read(self, event: Event) -> Sequence[StreamedChatData | TextOnlyChunk]:
        """Returns the chunks of an event; `Started` has none."""
        ...

    def text_chunk(self, choice: int, text: str) -> StreamedChatData:
        """Returns the full chunk of a `TextOnlyChunk` with this choice and text."""
        ...

    def completion(self) -> ContainerChatCompleteSuccess:
        """Returns the whole completion, after the last event has been read."""
        ...


class RenderedPrompt(Protocol):
    """A prompt as the model sees it."""

    @property
    def text(self) -> str:
        """Text of all tokens, with control tokens spelled out."""
        ...

    @property
    def tokens(self) -> Sequence[int]:
        """Token ids."""
        ...

    @property
    def pieces(self) -> Sequence[tuple[str, bool]]:
        """Text of each token, and whether it is a control token."""
        ...

    @property
    def room(self) -> int:
        """Number of tokens of the context that remain for the completion."""
        ...


class Service(Protocol):
    """A model that is being loaded or is serving requests.

    `prepare`, `render`, `tokenize` and `detokenize` block and are called in worker threads, also
    several at once; all other methods are called on the event loop and must not block.
    """

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises:
            RequestError: 503 while the model is loading and during shutdown.
        """
        ...

    def check_ready(self) -> None:
        """Checks that requests are served.

        Raises:
            RequestError: 503 while the model is loading, during shutdown, and if the engine has
                ended or has stalled.
        """
        ...

    def check_live(self) -> None:
        """Checks that the process need not be restarted.

        Raises:
            RequestError: 503 if the engine has ended or has been stalled for very long.
        """
        ...

    async def prepare(self, body: DedicatedChatCompletionBody) -> PendingResponse:
        """Validates a request and prepares its response; cancelling it ends the work.

        Raises:
            RequestError: The request is invalid or cannot be served.
        """
        ...

    async def render(self, body: DedicatedChatCompletionBody) -> RenderedPrompt:
        """Renders the prompt of a request; cancelling it ends the work.

        Raises:
            RequestError: The request is invalid or cannot be served.
        """
        ...

    async def tokenize(self, model: str, text: str, parse_special: bool) -> list[int]:
        """Returns the token ids of a text; cancelling it ends the work.

        Args:
            model: Name of the model as in requests.
            text: Any text.
            parse_special: Whether control tokens that are spelled out in the text are recognized.

        Raises:
            RequestError: The model does not exist, or the text has more tokens than the context.
        """
        ...

    def detokenize(self, model: str, tokens: Sequence[int]) -> str:
        """Returns the text of tokens; U+FFFD stands for bytes that are not UTF-8.

        Raises:
            RequestError: A token or the model does not exist, or the tokens exceed the context.
        """
        ...

    def models(self) -> Sequence[Mapping[str, Any]]:
        """Returns a model card, as JSON, for every model name that requests may use.

        Raises:
            RequestError: 503 while the model is loading and during shutdown.
        """
        ...

    @property
    def adapters(self) -> Sequence[str]:
        """Routes of the loaded adapters.

        Raises:
            RequestError: 503 while the model is loading and during shutdown.
        """
        ...

    async def load_adapter(self, route: str, name: str) -> None:
        """Loads an adapter; takes about a second.

        Args:
            route: Route of the adapter in requests.
            name: Path of the file inside the folder of `--adapter-dir`.

        Raises:
            RequestError: The folder or file is missing, it is not an adapter for this model, or
                there are too many adapters (409).
        """
        ...

    async def unload_adapter(self, route: str) -> None:
        """Unloads an adapter; requests that use it run to their end.

        Raises:
            RequestError: The adapter does not exist.
        """
        ...
