"""What the routes need of the rest of the endpoint; `app.py` brings it."""

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
    """A chunk that says nothing but how the answer of a choice goes on."""

    @property
    def choice(self) -> int:
        """Index of the choice."""
        ...

    @property
    def text(self) -> str:
        """What its answer goes on with."""
        ...


class PendingResponse(Protocol):
    """An accepted request and its answer in the making."""

    request: GenerationRequest
    num_generated: int
    """Tokens generated so far, of all choices."""

    @property
    def finished(self) -> bool:
        """Whether every choice has ended."""
        ...

    def opening(self) -> Sequence[StreamedChatData]:
        """The chunks that go out before the first token."""
        ...

    def read(self, event: Event) -> Sequence[StreamedChatData | TextOnlyChunk]:
        """The chunks that an event adds; the start adds none."""
        ...

    def text_chunk(self, choice: int, text: str) -> StreamedChatData:
        """The chunk that a text delta is short for."""
        ...

    def completion(self) -> ContainerChatCompleteSuccess:
        """The whole answer, when all is read."""
        ...


class RenderedPrompt(Protocol):
    """A prompt as the model sees it."""

    @property
    def text(self) -> str:
        """All tokens together, control tokens written out."""
        ...

    @property
    def tokens(self) -> Sequence[int]:
        """The token ids."""
        ...

    @property
    def pieces(self) -> Sequence[tuple[str, bool]]:
        """For each token its text, and whether it is a control token."""
        ...

    @property
    def room(self) -> int:
        """Tokens of the context that are left for an answer."""
        ...


class Service(Protocol):
    """A model being loaded, or serving."""

    @property
    def engine(self) -> Engine:
        """The engine.

        Raises:
            RequestError: 503 while the model is loading.
        """
        ...

    def check_ready(self) -> None:
        """Checks that requests are served.

        Raises:
            RequestError: 503 while the model is loading, when the endpoint stops, and where the
            engine
                has ended or makes no steps.
        """
        ...

    def check_live(self) -> None:
        """Checks that the process need not be replaced.

        Raises:
            RequestError: 503 where the engine has ended, or has made no step for very long.
        """
        ...

    def prepare(self, body: DedicatedChatCompletionBody) -> PendingResponse:
        """Checks a request and prepares its answer; may take a while, so call it in a thread.

        Raises:
            RequestError: The request cannot be served.
        """
        ...

    def render(self, body: DedicatedChatCompletionBody) -> RenderedPrompt:
        """The prompt of a request that would be served; call it in a thread.

        Raises:
            RequestError: The request cannot be served.
        """
        ...

    def tokenize(self, model: str, text: str, parse_special: bool) -> list[int]:
        """Token ids of a text; may take a while, so call it in a thread.

        Args:
            model: As requests name it.
            text: Anything.
            parse_special: Whether control tokens written out in the text are recognised.

        Raises:
            RequestError: There is no such model.
        """
        ...

    def detokenize(self, model: str, tokens: Sequence[int]) -> str:
        """What tokens say together; U+FFFD stands for bytes that are no UTF-8.

        Raises:
            RequestError: There is no such model or token.
        """
        ...

    def models(self) -> Sequence[Mapping[str, Any]]:
        """A card for each endpoint id that is answered.

        Raises:
            RequestError: 503 while the model is loading.
        """
        ...

    @property
    def adapters(self) -> Sequence[str]:
        """The routes of the adapters that requests may name."""
        ...

    async def load_adapter(self, route: str, name: str) -> None:
        """Loads a file of the adapters' folder; may take a while.

        Raises:
            RequestError: There is no such folder or file, or it is no adapter for this model.
        """
        ...

    async def unload_adapter(self, route: str) -> None:
        """Takes an adapter away; what uses it runs on to its end.

        Raises:
            RequestError: There is none.
        """
        ...
