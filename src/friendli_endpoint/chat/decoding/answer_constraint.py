"""A constrained answer that may follow reasoning.

The output may begin with a tag or with the answer, and both may begin with the same bytes, such as
`<`. Both alternatives are therefore tracked until one of them is ruled out; again after the
reasoning, where a tag may open the answer. A control token that closes the answer is not part of
it, so the constraint does not read it.
"""

from collections.abc import Sequence

from friendli_endpoint.chat.decoding.reasoning_state import ReasoningState
from friendli_endpoint.chat.reasoning.splitter import Phase
from friendli_endpoint.chat.structured import Constraint
from friendli_endpoint.chat.tokens import Bitmask, bitmask_of
from friendli_endpoint.generation import Vocabulary

__all__ = ["AnswerConstraint"]


class AnswerConstraint:
    """A constraint that applies to the answer of an output, and not to its reasoning.

    Args:
        constraint: The constraint of the answer; owned by this object.
        reasoning_state: The reasoning of the choice; must read each token before this object.
        vocabulary: The model's tokens.
        no_end_mask: Mask of all tokens but those that end the choice.
    """

    def __init__(
        self,
        constraint: Constraint,
        reasoning_state: ReasoningState,
        vocabulary: Vocabulary,
        no_end_mask: Bitmask,
    ) -> None:
        self._constraint = constraint
        self._reasoning_state = reasoning_state
        self._vocabulary = vocabulary
        self._no_end_mask = no_end_mask
        self._phase = reasoning_state.phase
        self._after_reasoning = reasoning_state.after_reasoning
        self._is_closed = False
        self._untagged = constraint.copy()
        self._may_be_untagged = True

    def mask(self) -> Bitmask:
        """Returns the mask of the tokens allowed next."""
        match self._phase:
            case Phase.START:
                return self._start_mask()
            case Phase.REASONING:
                return self._reasoning_mask()
            case Phase.ANSWER:
                return self._answer_mask()

    def fast_forward_tokens(self) -> Sequence[int]:
        """Returns the tokens that the constraint makes the only possible continuation."""
        if self._phase is not Phase.ANSWER or self._is_closed:
            return ()
        return self._constraint.fast_forward_tokens()

    @property
    def satisfied(self) -> bool:
        """Whether the output may end here, with a complete answer."""
        if self._phase is Phase.START:
            return self._may_be_untagged and self._untagged.satisfied
        return self._phase is Phase.ANSWER and self._constraint.satisfied

    def accept(self, token_id: int) -> bool:
        """Accepts a token that is not an end; returns whether the output must end here."""
        before, self._phase = self._phase, self._reasoning_state.phase
        if before is Phase.ANSWER:
            self._is_closed = self._closes(token_id)
            return not self._is_closed and self._constraint.accept(token_id)
        if self._after_reasoning != self._reasoning_state.after_reasoning:
            self._after_reasoning = True
            if self._phase is Phase.START:
                self._untagged = self._constraint.copy()
                self._may_be_untagged = True
                return False
        if before is Phase.START:
            finished = self._accept_untagged(token_id)
            if self._phase is Phase.ANSWER and not self._reasoning_state.tagged:
                self._constraint = self._untagged
                return finished
        return self._phase is Phase.ANSWER and self._accept_part(
            token_id, self._reasoning_state.answer
        )

    def _start_mask(self) -> Bitmask:
        opening = self._reasoning_state.opening()
        tags = opening.tag & self._no_end_mask
        return self._untagged.mask() & opening.answer | tags if self._may_be_untagged else tags

    def _answer_mask(self) -> Bitmask:
        """Returns the constraint's mask, and the closing tag where the answer may end."""
        mask = self._constraint.mask()
        if self._is_closed:  # only the end may follow, or a call
            following = self._vocabulary.control_ids | self._vocabulary.end_ids
            return mask & bitmask_of(following, self._vocabulary.size)
        closing = self._reasoning_state.answer_close
        if closing and self._constraint.satisfied:
            return mask | bitmask_of(closing, self._vocabulary.size)
        return mask

    def _closes(self, token_id: int) -> bool:
        """Whether a token closes the answer, and the constraint itself does not ask for it."""
        closing = self._reasoning_state.answer_close
        return token_id in closing and not self._constraint.allows([token_id])

    def _reasoning_mask(self) -> Bitmask:
        closing = self._reasoning_state.closing()
        rejected = [
            token
            for token, part in closing.interrupting
            if not self._constraint.allows(self._tokens(token, part))
        ]
        mask = closing.mask & self._no_end_mask
        return mask & ~bitmask_of(rejected, self._vocabulary.size) if rejected else mask

    def _accept_untagged(self, token_id: int) -> bool:
        """Accepts a token as part of an answer without reasoning, while that is possible."""
        self._may_be_untagged = self._may_be_untagged and self._untagged.allows([token_id])
        return self._may_be_untagged and self._untagged.accept(token_id)

    def _accept_part(self, token_id: int, part: bytes) -> bool:
        finished = False
        for token in self._tokens(token_id, part):
            finished = self._constraint.accept(token)
        return finished

    def _tokens(self, token_id: int, part: bytes) -> Sequence[int]:
        """Returns the token ids of the part of a token that belongs to the answer."""
        whole = part == self._vocabulary.token_bytes(token_id)
        return [token_id] if whole else self._constraint.tokenize(part)
