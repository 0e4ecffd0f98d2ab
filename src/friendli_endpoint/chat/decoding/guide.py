"""Guides one choice: what it may generate next, by its constraint, its reasoning and its ends."""

from collections.abc import Sequence

from friendli_endpoint.chat.decoding.answer_constraint import AnswerConstraint
from friendli_endpoint.chat.decoding.interpreter import OutputInterpreter, StopCriteria
from friendli_endpoint.chat.decoding.reasoning_state import ReasoningState
from friendli_endpoint.chat.structured import Constraint
from friendli_endpoint.chat.tokens import Bitmask
from friendli_endpoint.generation import FinishReason, TokenFindings, Vocabulary

__all__ = ["ChoiceGuide"]


class ChoiceGuide:
    """The `Guide` of one choice.

    Args:
        criteria: What ends it.
        vocabulary: The model's tokens.
        interpreter: Reads its output, of this object alone.
        constraint: The grammar of its answer; None leaves it free.
        thinking: The reasoning before the answer; None where there is none.

    Attributes:
        looks_ahead: Whether it has a constraint; all else is answered at once.
    """

    def __init__(
        self,
        criteria: StopCriteria,
        vocabulary: Vocabulary,
        interpreter: OutputInterpreter,
        constraint: Constraint | None = None,
        thinking: ReasoningState | None = None,
    ) -> None:
        self._criteria = criteria
        self._interpreter = interpreter
        self._thinking = thinking
        self._constraint: Constraint | AnswerConstraint | None = constraint
        if constraint is not None and thinking is not None:
            without_ends = criteria.without_ends
            self._constraint = AnswerConstraint(constraint, thinking, vocabulary, without_ends)
        self.looks_ahead = constraint is not None

    def mask(self) -> Bitmask | None:
        """The mask of the constraint; all tokens but the ends, for as long as min_tokens asks."""
        if self._constraint is not None:
            return self._constraint.mask()
        may_end = self._interpreter.num_tokens >= self._criteria.min_tokens
        return None if may_end else self._criteria.without_ends

    def fast_forward_tokens(self) -> Sequence[int]:
        """The end tag of spent reasoning, or what the constraint leaves no choice about."""
        if self._thinking is not None and (tag := self._thinking.fast_forward_tokens()):
            return tag
        return self._constraint.fast_forward_tokens() if self._constraint is not None else ()

    def accept(self, token_id: int, is_last: bool) -> TokenFindings:
        """Reads a token; an end, a stop string or a finished constraint ends the choice."""
        is_end = self._interpreter.is_end(token_id)
        if is_end or self._ends_with(token_id):
            finish: FinishReason | None = "stop"
        else:
            finish = "length" if is_last else None
        spans = self._interpreter.spans(finish is not None)
        num_bytes = 0 if is_end else self._interpreter.num_bytes
        return TokenFindings(num_bytes, spans, finish, is_end)

    def exhausted(self) -> TokenFindings:
        """An unfinished constraint is cut off, anything else has come to its end."""
        cut = self._constraint is not None and not self._constraint.satisfied
        return TokenFindings(0, self._interpreter.spans(True), "length" if cut else "stop")

    def _ends_with(self, token_id: int) -> bool:
        if self._thinking is not None:
            self._thinking.accept(token_id)
        stopped = self._interpreter.read(token_id)
        finished = self._constraint is not None and self._constraint.accept(token_id)
        return stopped or finished
