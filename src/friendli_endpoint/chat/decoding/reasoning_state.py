"""State of the reasoning of one choice: its phase, its tags and its budget."""

from collections.abc import Sequence

from friendli_endpoint.chat.decoding.interpreter import OutputInterpreter
from friendli_endpoint.chat.reasoning.splitter import Phase, ReasoningSplitter
from friendli_endpoint.chat.reasoning.tag_masks import Closing, Opening, TagMasks

__all__ = ["ReasoningState"]


class ReasoningState:
    """State of the reasoning of one choice, as its guide needs it.

    Args:
        splitter: Splits reasoning from answer; fed by the interpreter.
        interpreter: Interpreter of the choice's output.
        tag_masks: Token masks for the tags of that splitter.
        budget: Maximum number of tokens of reasoning, or None.
    """

    def __init__(
        self,
        splitter: ReasoningSplitter,
        interpreter: OutputInterpreter,
        tag_masks: TagMasks,
        budget: int | None,
    ) -> None:
        self._splitter = splitter
        self._interpreter = interpreter
        self._tag_masks = tag_masks
        self._budget = budget
        self._spent = 0
        self._queue: list[int] = []

    @property
    def phase(self) -> Phase:
        """The current phase of the output."""
        return self._splitter.phase

    @property
    def tagged(self) -> bool:
        """Whether the output, or what comes after its reasoning, began with a tag."""
        return self._splitter.tagged

    @property
    def after_reasoning(self) -> bool:
        """Whether the reasoning is over, so that only the answer may begin."""
        return self._splitter.after_reasoning

    @property
    def answer_close(self) -> frozenset[int]:
        """Ids of the control tokens that are closing tags of an answer."""
        return self._tag_masks.answer_close

    @property
    def answer(self) -> bytes:
        """The part of the answer of the token with which it began, with bytes held back before."""
        return self._interpreter.answer + self._splitter.held_answer

    def opening(self) -> Opening:
        """Returns the masks for the start of the output, or of the answer after the reasoning."""
        return self._tag_masks.opening(self._splitter.partial_tag, self._splitter.after_reasoning)

    def closing(self) -> Closing:
        """Returns the mask for the reasoning."""
        return self._tag_masks.closing(self._splitter.partial_tag)

    def fast_forward_tokens(self) -> Sequence[int]:
        """Returns the closing tag when the budget is spent, else nothing."""
        spent = self._budget is not None and self._spent >= self._budget
        if not self._queue and spent and self.phase is Phase.REASONING:
            self._queue = list(self._tag_masks.close)
        return self._queue

    def accept(self, token_id: int) -> None:
        """Accepts a token, before the interpreter reads it; counts it against the budget."""
        if self._queue:
            if self._queue[0] == token_id:
                self._queue.pop(0)
        elif self.phase is Phase.REASONING:
            self._spent += 1
