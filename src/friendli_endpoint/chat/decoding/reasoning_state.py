"""The reasoning of one choice, as far as the engine's loop must know: its end, and its budget."""

from collections.abc import Sequence

from friendli_endpoint.chat.decoding.interpreter import OutputInterpreter
from friendli_endpoint.chat.reasoning.splitter import Place, Splitter
from friendli_endpoint.chat.reasoning.tag_masks import Closing, Opening, TagMasks

__all__ = ["ReasoningState"]


class ReasoningState:
    """The reasoning before the answer, as far as a guide must know it.

    Args:
        splitter: Tells reasoning from answer; the interpreter of the choice feeds it.
        interpreter: Reads the output of the choice.
        tag_masks: The tags of that splitter in tokens.
        budget: Maximum number of tokens of reasoning, or None.
    """

    def __init__(
        self,
        splitter: Splitter,
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
    def place(self) -> Place:
        """Where the choice is."""
        return self._splitter.place

    @property
    def tagged(self) -> bool:
        """Whether the output began with a tag."""
        return self._splitter.tagged

    @property
    def answer(self) -> bytes:
        """The answer's part of the last token, together with what had been held back before it."""
        return self._interpreter.answer

    def opening(self) -> Opening:
        """What may come next at the start, before a constrained answer."""
        return self._tag_masks.opening(self._splitter.begun)

    def closing(self) -> Closing:
        """What may come next in the reasoning, before a constrained answer."""
        return self._tag_masks.closing(self._splitter.begun)

    def fast_forward_tokens(self) -> Sequence[int]:
        """What must come next: the end tag when the budget is spent."""
        spent = self._budget is not None and self._spent >= self._budget
        if not self._queue and spent and self.place is Place.REASONING:
            self._queue = list(self._tag_masks.close)
        return self._queue

    def accept(self, token_id: int) -> None:
        """Counts a token that is about to be read."""
        if self._queue:
            if self._queue[0] == token_id:
                self._queue.pop(0)
        elif self.place is Place.REASONING:
            self._spent += 1
