"""What one choice may do next: what its text must be like, and when it may, must not, must end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.chat.constraint import Constraint
from friendli_endpoint.chat.reasoning import Place
from friendli_endpoint.chat.stop import StopMatcher, StopSet
from friendli_endpoint.chat.thinking import Thinking
from friendli_endpoint.generation import FinishReason, Vocabulary

__all__ = ["ChoiceGuide", "Ending", "bitmask_without"]


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends the choices of a request; shared by their guides and readers.

    Attributes:
        end_ids: Tokens that end a choice.
        silent_ids: Tokens that are no text: the ends, and control tokens that nobody reads.
        stops: Stop strings, or None.
        min_tokens: How many tokens must come before a choice may end by itself.
        without_ends: All tokens but the ends, as a guide's mask.
    """

    end_ids: frozenset[int]
    silent_ids: frozenset[int]
    stops: StopSet | None
    min_tokens: int
    without_ends: NDArray[np.uint32]


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
        constraint: What its answer must be like; None leaves it free.
        thinking: The reasoning before the answer; None where there is none.
        while_thinking: The mask of the reasoning before a constrained answer: no ends, and no
            token that would take the answer's beginning away.
    """

    def __init__(
        self,
        ending: Ending,
        vocabulary: Vocabulary,
        constraint: Constraint | None = None,
        thinking: Thinking | None = None,
        while_thinking: NDArray[np.uint32] | None = None,
    ) -> None:
        self._ending = ending
        self._vocabulary = vocabulary
        self._constraint = constraint
        self._thinking = thinking
        self._while_thinking = while_thinking
        self._generated = 0
        self._matcher = StopMatcher(ending.stops) if ending.stops else None

    @property
    def _place(self) -> Place:
        return self._thinking.place if self._thinking is not None else Place.ANSWER

    def mask(self) -> NDArray[np.uint32] | None:
        """What the constraint allows; all tokens but the ends, for as long as min_tokens asks."""
        if self._constraint is not None:
            if self._place is Place.REASONING:
                return self._while_thinking
            mask = self._constraint.mask()
            if self._thinking is not None and self._place is Place.START:
                return self._thinking.with_opening(mask)
            return mask
        if self._generated < self._ending.min_tokens:
            return self._ending.without_ends
        return None

    def forced(self) -> Sequence[int]:
        """The end tag of spent reasoning, or what the constraint leaves no choice about."""
        if self._thinking is not None and (tag := self._thinking.forced()):
            return tag
        if self._constraint is not None and self._place is Place.ANSWER:
            return self._constraint.forced()
        return ()

    def accept(self, token_id: int) -> FinishReason | None:
        """Takes a token; an end, a stop string or a finished constraint ends the choice."""
        self._generated += 1
        if token_id in self._ending.end_ids:
            return "stop"
        piece = b"" if token_id in self._ending.silent_ids else self._vocabulary.piece(token_id)
        place = self._place
        answer = piece
        if self._thinking is not None:
            if place is Place.START and self._constraint is not None:
                return self._begin(token_id, piece)
            segments = self._thinking.accept(token_id, piece)
            answer = b"".join(each.text for each in segments if not each.reasoning)
        finished = self._constrain(token_id, answer, place)
        return "stop" if finished or self._completes_stop(answer) else None

    def exhausted(self) -> FinishReason:
        """An unfinished constraint is cut off, anything else has come to its end."""
        cut = self._constraint is not None and not self._constraint.satisfied
        return "length" if cut else "stop"

    def _begin(self, token_id: int, piece: bytes) -> FinishReason | None:
        """The first token where both reasoning and a constrained answer may begin."""
        assert self._thinking is not None and self._constraint is not None
        if self._thinking.forced() or self._thinking.opens(token_id):
            self._thinking.accept(token_id, piece)
            return None
        self._thinking = None
        finished = self._constraint.accept(token_id)
        return "stop" if finished or self._completes_stop(piece) else None

    def _constrain(self, token_id: int, answer: bytes, place: Place) -> bool:
        if self._constraint is None or self._place is not Place.ANSWER:
            return False
        if place is Place.ANSWER or answer == self._vocabulary.piece(token_id):
            return self._constraint.accept(token_id)
        return self._constraint.accept_bytes(answer)

    def _completes_stop(self, answer: bytes) -> bool:
        if self._matcher is None or not answer:
            return False
        armed = self._generated > self._ending.min_tokens
        return self._matcher.feed(answer, armed) is not None
