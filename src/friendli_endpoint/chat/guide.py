"""What one choice may do next: what its text must be like, and when it may, must not, must end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.chat.constraint import Constraint
from friendli_endpoint.chat.stop import StopMatcher, StopSet
from friendli_endpoint.generation import FinishReason, Vocabulary

__all__ = ["ChoiceGuide", "Ending", "bitmask_without"]


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends the choices of a request; shared by their guides and readers.

    Attributes:
        end_ids: Tokens that end a choice.
        silent_ids: Tokens that are no text: the ends, and the model's other control tokens.
        stops: Stop strings, or None.
        min_tokens: How many tokens must come before a choice may end by itself.
        min_tokens_mask: All tokens but the ends, as a guide's mask.
    """

    end_ids: frozenset[int]
    silent_ids: frozenset[int]
    stops: StopSet | None
    min_tokens: int
    min_tokens_mask: NDArray[np.uint32] | None


def bitmask_without(ids: Iterable[int], size: int) -> NDArray[np.uint32]:
    """A guide's mask of shape (ceil(size / 32),) that allows all tokens but these."""
    mask = np.full((size + 31) // 32, 0xFFFFFFFF, np.uint32)
    for token in ids:
        mask[token // 32] &= np.uint32(0xFFFFFFFF ^ (1 << (token % 32)))
    return mask


class ChoiceGuide:
    """The `Guide` of one choice.

    Args:
        ending: What ends it.
        vocabulary: The model's tokens.
        constraint: What its text must be like; None leaves it free.
    """

    def __init__(
        self, ending: Ending, vocabulary: Vocabulary, constraint: Constraint | None = None
    ) -> None:
        self._ending = ending
        self._vocabulary = vocabulary
        self._constraint = constraint
        self._generated = 0
        self._matcher = StopMatcher(ending.stops) if ending.stops else None

    def mask(self) -> NDArray[np.uint32] | None:
        """What the constraint allows; all tokens but the ends, for as long as min_tokens asks."""
        if self._constraint is not None:
            return self._constraint.mask()
        if self._generated < self._ending.min_tokens:
            return self._ending.min_tokens_mask
        return None

    def forced(self) -> Sequence[int]:
        """What the constraint leaves no choice about."""
        return self._constraint.forced() if self._constraint is not None else ()

    def accept(self, token_id: int) -> FinishReason | None:
        """Takes a token; an end, a stop string or a finished constraint ends the choice."""
        self._generated += 1
        if token_id in self._ending.end_ids:
            return "stop"
        finished = self._constraint is not None and self._constraint.accept(token_id)
        return "stop" if finished or self._completes_stop(token_id) else None

    def exhausted(self) -> FinishReason:
        """An unfinished constraint is cut off, anything else has come to its end."""
        cut = self._constraint is not None and not self._constraint.satisfied
        return "length" if cut else "stop"

    def _completes_stop(self, token_id: int) -> bool:
        if self._matcher is None or token_id in self._ending.silent_ids:
            return False
        armed = self._generated > self._ending.min_tokens
        return self._matcher.feed(self._vocabulary.piece(token_id), armed) is not None
