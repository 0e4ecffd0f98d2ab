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
        """Whether the output began with a tag."""
        return self._splitter.tagged

    @property
    def answer(self) -> bytes:
        """The last token's part of the answer, including bytes held back before it."""
        return self._interpreter.answer

    def opening(self) -> Opening:
        """Returns the masks for the start of the output."""
        return self._tag_masks.opening(self._splitter.partial_tag)

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
