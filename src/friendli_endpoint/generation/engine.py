"""Protocol of engines, which serve generation requests, and the data that they report."""

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
    """Statistics of one step of the engine, for metrics.

    Attributes:
        seconds: Duration of the step.
        decoded: Number of choices that decoded in the step.
        prefilled: Number of prompt tokens that were computed in the step.
        running: Number of choices that are decoding after the step.
        queued: Number of requests after the step whose prefill has not begun.
        kv_cache_tokens: Tokens in the KV cache after the step, of running choices and of cached
            prefixes.
        capacity_tokens: Maximum number of tokens in the KV cache.
        drafted: Number of draft tokens that were computed since the last report.
        accepted: Number of these draft tokens that were equal to the sampled tokens.
        disk_tokens: Number of prompt tokens that were read from disk since the last report.
        disk_read_bytes: Number of bytes that were read from the prefix cache on disk since then.
        disk_written_bytes: Number of bytes that were written to it since then.
    """

    seconds: float
    decoded: int
    prefilled: int
    running: int
    queued: int
    kv_cache_tokens: int
    capacity_tokens: int
    drafted: int = 0
    accepted: int = 0
    disk_tokens: int = 0
    disk_read_bytes: int = 0
    disk_written_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Facts about a served model, as plain data.

    Attributes:
        name: The model's name, as its file states it.
        context: Maximum number of tokens of one choice, prompt and output together.
        vocabulary_size: Number of token ids, which is the number of logits at a position.
        num_sequences: Maximum number of choices that are computed at the same time; further ones
            wait.
        chat_template: The model's own chat template, in Jinja, or None.
        modalities: Kinds of prompt segments that the model supports, such as `text`.
        adapters: Routes of the loaded adapters, which requests may name.
        deterministic: Whether the same request with the same seed gives the same bytes, whatever
            else is computed at the same time; false where that was not measured.
        devices: Names of the devices that compute, such as `CPU`; empty if they are not known.
    """

    name: str
    context: int
    vocabulary_size: int
    num_sequences: int
    chat_template: str | None
    modalities: tuple[str, ...]
    adapters: tuple[str, ...]
    deterministic: bool
    devices: tuple[str, ...] = ()


class Engine(Protocol):
    """Engine that serves many generation requests at once.

    All calls come from one event loop, and none blocks it. Requests are independent of each other:
    an error in one of them does not fail the others, except where the whole engine fails.

    Usage:

        async with engine.run(request) as events:  # raises RequestError if it is rejected
            async for event in events:  # Started, then Generated; raises EngineError on failure
                ...

    Attributes:
        card: Current facts about the model.
        is_alive: Whether requests can still be served, now or later.
        num_ready: Number of engines that serve now, or once their current step has ended.
        num_lost: Number of engines that were lost since the start and had to be started again.
        stalled_seconds: Seconds since the last step, while there is work; 0 while there is none.
    """

    @property
    def card(self) -> ModelCard:
        """Current facts about the model; its `adapters` change as adapters come and go."""
        ...

    @property
    def is_alive(self) -> bool:
        """Whether requests can still be served, now or later: false once the engine has failed."""
        ...

    @property
    def num_ready(self) -> int:
        """Number of engines that serve now, or once their current step has ended.

        0 while an engine that is alive is being started again; more than 1 if several share the
        requests.
        """
        ...

    @property
    def num_lost(self) -> int:
        """Number of engines that were lost since the start and had to be started again."""
        ...

    @property
    def stalled_seconds(self) -> float:
        """Seconds since the last step, while there is work; 0 while there is none."""
        ...

    def run(self, request: GenerationRequest) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Runs a request: entering submits it, iterating yields its events, leaving cancels it.

        The iterator yields `Started` once, then `Generated` until every choice has finished, and
        then ends. It belongs to one task, and is valid inside the block only. After the block has
        been left, the engine computes at most the current step for the request.

        Args:
            request: The request; it is plain data and is never modified. Its `request_id` is not in
                use by another request in the engine.

        Raises:
            RequestError: On entering: the engine rejects the request, because the request is
                invalid or unsupported, the queue is full (429), or the engine is closing or broken
                (503). A request that was entered is not rejected later.
            EngineError: On iterating: the request cannot be finished. The events before the failure
                are yielded first.
        """
        ...

    async def load_adapter(self, route: str, path: Path) -> None:
        """Loads an adapter; it replaces a loaded adapter of the same route.

        Requests that use the replaced adapter run to their end with it.

        Args:
            route: Name by which requests select the adapter.
            path: File of the adapter; it is read during the call only.

        Raises:
            RequestError: The file is not an adapter for this model, or the engine is closing.
        """
        ...

    async def unload_adapter(self, route: str) -> None:
        """Removes an adapter; requests that use it run to their end.

        Raises:
            RequestError: The adapter does not exist, or the engine is closing.
        """
        ...

    async def aclose(self) -> None:
        """Stops after the current step; unfinished requests fail with `EngineError`.

        Later calls of `run`, `load_adapter` and `unload_adapter` raise `RequestError`. May be
        called again.
        """
        ...
