"""What one choice may do next: what its text must be like, and when it may, must not, must end."""

from collections.abc import Sequence
from dataclasses import dataclass

from friendli_endpoint.chat.decoding.after_thinking import AfterThinking
from friendli_endpoint.chat.decoding.thinking import Thinking
from friendli_endpoint.chat.stop_strings import ArmedStops, StopSet
from friendli_endpoint.chat.structured import Constraint
from friendli_endpoint.chat.tokens import Bitmask
from friendli_endpoint.generation import FinishReason, Vocabulary

__all__ = ["ChoiceGuide", "Ending"]


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
    without_ends: Bitmask


class ChoiceGuide:
    """The `Guide` of one choice.

    Args:
        ending: What ends it.
        vocabulary: The model's tokens.
        constraint: What its answer must be like; None leaves it free.
        thinking: The reasoning before the answer; None where there is none.

    Attributes:
        looks_ahead: Whether it has a constraint; all else is answered at once.
    """

    def __init__(
        self,
        ending: Ending,
        vocabulary: Vocabulary,
        constraint: Constraint | None = None,
        thinking: Thinking | None = None,
    ) -> None:
        self._ending = ending
        self._vocabulary = vocabulary
        self._thinking = thinking
        self._constraint: Constraint | AfterThinking | None = constraint
        if constraint is not None and thinking is not None:
            self._constraint = AfterThinking(constraint, thinking, vocabulary, ending.without_ends)
        self.looks_ahead = constraint is not None
        self._generated = 0
        self._stops = ArmedStops(ending.stops, ending.min_tokens) if ending.stops else None

    def mask(self) -> Bitmask | None:
        """What the constraint allows; all tokens but the ends, for as long as min_tokens asks."""
        if self._constraint is not None:
            return self._constraint.mask()
        return self._ending.without_ends if self._generated < self._ending.min_tokens else None

    def forced(self) -> Sequence[int]:
        """The end tag of spent reasoning, or what the constraint leaves no choice about."""
        if self._thinking is not None and (tag := self._thinking.forced()):
            return tag
        return self._constraint.forced() if self._constraint is not None else ()

    def accept(self, token_id: int) -> FinishReason | None:
        """Takes a token; an end, a stop string or a finished constraint ends the choice."""
        self._generated += 1
        if token_id in self._ending.end_ids:
            return "stop"
        piece = b"" if token_id in self._ending.silent_ids else self._vocabulary.piece(token_id)
        answer = piece if self._thinking is None else self._thinking.accept(token_id, piece)
        finished = self._constraint is not None and self._constraint.accept(token_id)
        return "stop" if self._completes_stop(piece, answer) or finished else None

    def exhausted(self) -> FinishReason:
        """An unfinished constraint is cut off, anything else has come to its end."""
        cut = self._constraint is not None and not self._constraint.satisfied
        return "length" if cut else "stop"

    def _completes_stop(self, piece: bytes, answer: bytes) -> bool:
        if self._stops is None:
            return False
        self._stops.next_token(len(piece))
        return self._stops.feed(answer) is not None
