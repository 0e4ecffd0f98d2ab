"""Sequences on their way through the engine, and the requests that they belong to."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum, auto

from friendli_endpoint.engine.core.backend import Tokens
from friendli_endpoint.engine.core.prefix_cache import Slot
from friendli_endpoint.generation import GenerationRequest

__all__ = ["Sequence", "SequenceGroup", "Status"]


class Status(Enum):
    """Stages of a sequence."""

    WAITING = auto()
    """It has no slot: its request waits, or its siblings were sooner."""

    PREFILLING = auto()
    """The prompt is being computed in its slot; only the first of a request does so."""

    RUNNING = auto()
    """It generates in its slot."""

    FINISHED = auto()
    """It has ended or was removed, and has no slot."""


@dataclass(slots=True, eq=False)
class Sequence:
    """One choice of a request.

    Attributes:
        group: Its request.
        choice: Index of the choice.
        status: Where it stands.
        slot: Its slot while it is prefilling or running.
    """

    group: "SequenceGroup"
    choice: int
    status: Status = Status.WAITING
    slot: Slot | None = None


@dataclass(slots=True, eq=False)
class SequenceGroup:
    """A request on its way through the engine: sequences that share a prompt.

    Attributes:
        request: The request.
        tokens: Its prompt, shape (length,).
        adapter: The adapter that changes the weights for it.
        sequences: One for each choice, in order.
        cached: Tokens of the prompt that were cached when its prefill began.
        tries: How often its prefill was begun.
        has_output: Whether a sequence has begun to generate; whoever carries out the steps says so.
    """

    request: GenerationRequest
    tokens: Tokens
    adapter: Hashable
    sequences: list[Sequence] = field(init=False)
    cached: int = 0
    tries: int = 0
    has_output: bool = False

    def __post_init__(self) -> None:
        self.sequences = [Sequence(self, choice) for choice in range(len(self.request.choices))]

    @property
    def first(self) -> Sequence:
        """The sequence in whose slot the prompt is computed."""
        return self.sequences[0]

    @property
    def next_waiting(self) -> Sequence | None:
        """The next sequence without a slot."""
        return next(
            (sequence for sequence in self.sequences if sequence.status is Status.WAITING), None
        )

    @property
    def is_finished(self) -> bool:
        """Whether all sequences have finished."""
        return all(sequence.status is Status.FINISHED for sequence in self.sequences)
