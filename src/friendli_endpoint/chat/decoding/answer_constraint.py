"""A constrained answer that reasoning may come before.

The output may begin with a tag or with the answer, and both may begin alike: with `<`, say. So both
readings are followed until one of them is out.
"""

from collections.abc import Sequence

from friendli_endpoint.chat.decoding.reasoning_state import ReasoningState
from friendli_endpoint.chat.reasoning.splitter import Place
from friendli_endpoint.chat.structured import Constraint
from friendli_endpoint.chat.tokens import Bitmask, bitmask_of
from friendli_endpoint.generation import Vocabulary

__all__ = ["AnswerConstraint"]


class AnswerConstraint:
    """A constraint on an output of which only the answer is held to it.

    Args:
        constraint: What the answer must be like; of this object alone.
        thinking: Tells reasoning from answer; takes each token before this does.
        vocabulary: The model's tokens.
        without_ends: All tokens but those that end the choice, as a mask.
    """

    def __init__(
        self,
        constraint: Constraint,
        thinking: ReasoningState,
        vocabulary: Vocabulary,
        without_ends: Bitmask,
    ) -> None:
        self._constraint = constraint
        self._thinking = thinking
        self._vocabulary = vocabulary
        self._without_ends = without_ends
        self._place = thinking.place
        self._untagged = constraint.copy()
        self._may_be_untagged = True

    def mask(self) -> Bitmask:
        """The tokens that are allowed next."""
        match self._place:
            case Place.START:
                return self._at_the_start()
            case Place.REASONING:
                return self._while_thinking()
            case Place.ANSWER:
                return self._constraint.mask()

    def fast_forward_tokens(self) -> Sequence[int]:
        """Tokens that the constraint leaves no choice about."""
        return self._constraint.fast_forward_tokens() if self._place is Place.ANSWER else ()

    @property
    def satisfied(self) -> bool:
        """Whether the output may end here: no tag is an answer, and no reasoning has one yet."""
        if self._place is Place.START:
            return self._may_be_untagged and self._untagged.satisfied
        return self._place is Place.ANSWER and self._constraint.satisfied

    def accept(self, token_id: int) -> bool:
        """Takes a token that is no end; answers whether the output must end here."""
        before, self._place = self._place, self._thinking.place
        if before is Place.ANSWER:
            return self._constraint.accept(token_id)
        if before is Place.START:
            finished = self._accept_untagged(token_id)
            if self._place is Place.ANSWER and not self._thinking.tagged:
                self._constraint = self._untagged
                return finished
        return self._place is Place.ANSWER and self._accept_part(token_id, self._thinking.answer)

    def _at_the_start(self) -> Bitmask:
        opening = self._thinking.opening()
        tags = opening.fitting & self._without_ends
        return self._untagged.mask() & opening.others | tags if self._may_be_untagged else tags

    def _while_thinking(self) -> Bitmask:
        closing = self._thinking.closing()
        refused = [
            token
            for token, part in closing.interrupting
            if not self._constraint.takes(self._tokens(token, part))
        ]
        mask = closing.mask & self._without_ends
        return mask & ~bitmask_of(refused, self._vocabulary.size) if refused else mask

    def _accept_untagged(self, token_id: int) -> bool:
        """Reads a token as one of an answer without reasoning, for as long as it can be."""
        self._may_be_untagged = self._may_be_untagged and self._untagged.takes([token_id])
        return self._may_be_untagged and self._untagged.accept(token_id)

    def _accept_part(self, token_id: int, part: bytes) -> bool:
        finished = False
        for token in self._tokens(token_id, part):
            finished = self._constraint.accept(token)
        return finished

    def _tokens(self, token_id: int, part: bytes) -> Sequence[int]:
        """The answer's part of a token, in tokens."""
        whole = part == self._vocabulary.token_bytes(token_id)
        return [token_id] if whole else self._constraint.spelt(part)
