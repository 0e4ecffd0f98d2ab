"""The guide of one choice: combines its constraint, its reasoning and its stop criteria."""

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
        criteria: Stop criteria of the choice.
        vocabulary: The model's tokens.
        interpreter: Interpreter of its output; owned by this object.
        constraint: Constraint that enforces the grammar of its answer; None for a free answer.
        reasoning_state: The reasoning before the answer; None for a model without reasoning.

    Attributes:
        looks_ahead: Whether the choice has a constraint; everything else takes no time.
    """

    def __init__(
        self,
        criteria: StopCriteria,
        vocabulary: Vocabulary,
        interpreter: OutputInterpreter,
        constraint: Constraint | None = None,
        reasoning_state: ReasoningState | None = None,
    ) -> None:
        self._criteria = criteria
        self._interpreter = interpreter
        self._reasoning_state = reasoning_state
        self._constraint: Constraint | AnswerConstraint | None = constraint
        if constraint is not None and reasoning_state is not None:
            no_end_mask = criteria.no_end_mask
            self._constraint = AnswerConstraint(
                constraint, reasoning_state, vocabulary, no_end_mask
            )
        self.looks_ahead = constraint is not None

    def mask(self) -> Bitmask | None:
        """Returns the mask of the constraint, or bans the end tokens until `min_tokens`."""
        if self._constraint is not None:
            return self._constraint.mask()
        may_end = self._interpreter.num_tokens >= self._criteria.min_tokens
        return None if may_end else self._criteria.no_end_mask

    def fast_forward_tokens(self) -> Sequence[int]:
        """Returns the closing tag when the budget is spent, or the constraint's tokens."""
        if self._reasoning_state is not None and (
            tag := self._reasoning_state.fast_forward_tokens()
        ):
            return tag
        return self._constraint.fast_forward_tokens() if self._constraint is not None else ()

    def accept(self, token_id: int, is_last: bool) -> TokenFindings:
        """Accepts a token; an end, a stop string or a finished constraint ends the choice."""
        is_end = self._interpreter.is_end(token_id)
        if is_end or self._ends_with(token_id):
            finish: FinishReason | None = "stop"
        else:
            finish = "length" if is_last else None
        spans = self._interpreter.spans(finish is not None)
        num_bytes = 0 if is_end else self._interpreter.num_bytes
        return TokenFindings(num_bytes, spans, finish, is_end)

    def exhausted(self) -> TokenFindings:
        """Ends the choice: with `length` if its constraint is not satisfied, else with `stop`."""
        unfinished = self._constraint is not None and not self._constraint.satisfied
        return TokenFindings(0, self._interpreter.spans(True), "length" if unfinished else "stop")

    def _ends_with(self, token_id: int) -> bool:
        if self._reasoning_state is not None:
            self._reasoning_state.accept(token_id)
        stopped = self._interpreter.read(token_id)
        finished = self._constraint is not None and self._constraint.accept(token_id)
        return stopped or finished
