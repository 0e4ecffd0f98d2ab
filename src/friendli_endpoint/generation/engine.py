"""Engines: what serves generation requests, and what it says of itself."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from friendli_endpoint.generation.events import Event
from friendli_endpoint.generation.request import GenerationRequest

__all__ = ["Engine", "ModelCard", "StepReport"]


@dataclass(frozen=True, slots=True)
class StepReport:
    """One turn of the engine, for those who watch it.

    Attributes:
        seconds: How long it took.
        decoded: Choices that decoded a token.
        prefilled: Prompt tokens that were computed.
        running: Choices that hold a sequence after it.
        queued: Requests that wait for their first work.
        held_tokens: Tokens in the key-value cache, of running choices and of finished ones.
        capacity_tokens: Tokens that the key-value cache can hold.
        drafted: Tokens that were computed ahead because they were guessed.
        accepted: Those of them that the choice drew in truth.
    """

    seconds: float
    decoded: int
    prefilled: int
    running: int
    queued: int
    held_tokens: int
    capacity_tokens: int
    drafted: int = 0
    accepted: int = 0


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Facts about a served model: plain data.

    Attributes:
        name: What the model calls itself.
        context: Maximum number of tokens of one choice, prompt and output together.
        vocabulary_size: Number of token ids.
        num_sequences: Choices that are computed at the same time; more wait.
        chat_template: Its own chat template, in Jinja, or None.
        modalities: Kinds of prompt segments that it takes.
        adapters: Routes of the adapters that requests may name.
        deterministic: Whether the same request with the same seed gives the same bytes, whatever
            else is computed.
    """

    name: str
    context: int
    vocabulary_size: int
    num_sequences: int
    chat_template: str | None
    modalities: tuple[str, ...]
    adapters: tuple[str, ...]
    deterministic: bool


class Engine(Protocol):
    """Serves generation requests, many at once; all calls come from one event loop.

    Attributes:
        card: Facts about the model as they are now.
        is_alive: Whether requests can still be served, now or once the current step has ended.
        stalled_seconds: Seconds since the last step, while there is work; 0 while there is none.
    """

    @property
    def card(self) -> ModelCard:
        """Facts about the model as they are now."""
        ...

    @property
    def is_alive(self) -> bool:
        """Whether requests can still be served, now or once the current step has ended."""
        ...

    @property
    def stalled_seconds(self) -> float:
        """Seconds since the last step, while there is work; 0 while there is none."""
        ...

    def run(self, request: GenerationRequest) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Runs a request: entering submits it, iterating gives its events, leaving cancels it.

        Entering raises `RequestError` where the engine does not take the request, so that nothing
        is
        refused later. The iterator gives `Started` once, then `Generated` until every choice has
        finished, and ends; it raises `EngineError` where the request cannot be finished. After
        the block has been left nothing more is computed for the request.
        """
        ...

    async def load_adapter(self, route: str, path: Path) -> None:
        """Makes an adapter known under a route, in the place of one that had it.

        Raises:
            RequestError: The file is not an adapter for this model, or the engine is closing.
        """
        ...

    async def unload_adapter(self, route: str) -> None:
        """Removes an adapter; requests that use it run on to their end.

        Raises:
            RequestError: There is no such adapter, or the engine is closing.
        """
        ...

    async def aclose(self) -> None:
        """Stops after the current step; requests still in the engine fail."""
        ...
