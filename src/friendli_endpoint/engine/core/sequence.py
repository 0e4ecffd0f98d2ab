"""Sequences in the engine, and the requests that they belong to."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum, auto

from friendli_endpoint.engine.core.backend import Tokens
from friendli_endpoint.engine.core.prefix_cache import Slot
from friendli_endpoint.generation import GenerationRequest

__all__ = ["Sequence", "SequenceGroup", "Status"]


class Status(Enum):
    """Stage of a sequence."""

    WAITING = auto()
    """It has no slot yet: its request is queued, or other choices of it took the free slots."""

    PREFILLING = auto()
    """The prompt is being computed in its slot; only the first sequence of a request does this."""

    RUNNING = auto()
    """It is decoding in its slot."""

    FINISHED = auto()
    """It has finished or was removed, and has no slot."""


@dataclass(slots=True, eq=False)
class Sequence:
    """One choice of a request.

    Attributes:
        group: Its request.
        choice: Index of the choice.
        status: Its stage.
        slot: Its slot while it is prefilling or running, else None.
    """

    group: "SequenceGroup"
    choice: int
    status: Status = Status.WAITING
    slot: Slot | None = None


@dataclass(slots=True, eq=False)
class SequenceGroup:
    """Request in the engine: sequences that share a prompt.

    Attributes:
        request: The request.
        tokens: Its prompt, shape (length,).
        adapter: Its adapter, or None for the base model.
        sequences: One sequence per choice, in order.
        num_cached_tokens: Number of prompt tokens that were cached when its prefill began.
        num_attempts: Number of times that its prefill was begun.
        has_output: Whether a sequence has begun to decode; set by `Execution`.
    """

    request: GenerationRequest
    tokens: Tokens
    adapter: Hashable
    sequences: list[Sequence] = field(init=False)
    num_cached_tokens: int = 0
    num_attempts: int = 0
    has_output: bool = False

    def __post_init__(self) -> None:
        self.sequences = [Sequence(self, choice) for choice in range(len(self.request.choices))]

    @property
    def first(self) -> Sequence:
        """The sequence in whose slot the prompt is computed."""
        return self.sequences[0]

    @property
    def next_waiting(self) -> Sequence | None:
        """The next sequence that waits for a slot, if any."""
        return next(
            (sequence for sequence in self.sequences if sequence.status is Status.WAITING), None
        )

    @property
    def is_finished(self) -> bool:
        """Whether all sequences have finished."""
        return all(sequence.status is Status.FINISHED for sequence in self.sequences)
