"""The reasoning of one choice, as far as the engine's loop must know: its end, and its budget."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.chat.reasoning import Place, ReasoningStyle, Segment, Splitter
from friendli_endpoint.generation import Vocabulary

__all__ = ["Thinking", "ThinkingTokens"]


class ThinkingTokens:
    """A reasoning style in the tokens of a model.

    Args:
        style: The tags.
        vocabulary: The model's tokens.

    Attributes:
        open: The open tag.
        close: The close tag, as it is forced when the budget is spent.
        spoken: Control tokens that tags are made of, which are therefore read.
        overshooting: Tokens that end like the close tag and go on with text: before a constrained
            answer they would take its beginning away.
    """

    def __init__(self, style: ReasoningStyle, vocabulary: Vocabulary) -> None:
        self.open = tuple(vocabulary.tokenize(style.open, True))
        self.close = tuple(vocabulary.tokenize(style.close, True))
        tags = " ".join((style.open, style.close, *style.preludes)).encode()
        self.spoken = frozenset(t for t in vocabulary.control_ids if vocabulary.piece(t) in tags)
        last = style.close.encode()[-1:]
        self.overshooting = frozenset(
            token
            for token in range(vocabulary.size)
            if vocabulary.piece(token).partition(last)[2].strip()
        )


class Thinking:
    """What a guide knows of the reasoning that comes before the answer.

    Args:
        splitter: Tells reasoning from answer; of this object alone.
        tokens: The tags in tokens.
        budget: Most tokens of reasoning, or None.
    """

    def __init__(self, splitter: Splitter, tokens: ThinkingTokens, budget: int | None) -> None:
        self._splitter = splitter
        self._tokens = tokens
        self._budget = budget
        self._spent = 0
        self._queue: list[int] = []

    @property
    def place(self) -> Place:
        """Where the choice is."""
        return self._splitter.place

    def forced(self) -> Sequence[int]:
        """What must come next: the rest of a tag, or the end tag when the budget is spent."""
        spent = self._budget is not None and self._spent >= self._budget
        if not self._queue and spent and self.place is Place.REASONING:
            self._queue = list(self._tokens.close)
        return self._queue

    def opens(self, token_id: int) -> bool:
        """Whether a token at the start begins the open tag; the rest of it is then forced."""
        if not self._tokens.open or token_id != self._tokens.open[0]:
            return False
        self._queue = list(self._tokens.open[1:])
        return True

    def with_opening(self, mask: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """A mask that allows the open tag besides."""
        first = self._tokens.open[0]
        wider = mask.copy()
        wider[first // 32] |= np.uint32(1 << (first % 32))
        return wider

    def accept(self, token_id: int, piece: bytes) -> list[Segment]:
        """Takes a token and its visible bytes; gives what they are."""
        if self._queue:
            if self._queue[0] == token_id:
                self._queue.pop(0)
        elif self.place is Place.REASONING:
            self._spent += 1
        return self._splitter.feed(piece)
