"""A choice that runs: what it remembers, and its next token."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.sampling import History, logprobs, sample
from friendli_endpoint.engine.scheduler import Job
from friendli_endpoint.generation import Choice, FinishReason, TokenStep, Vocabulary

__all__ = ["Running", "look_ahead"]


@dataclass(slots=True, eq=False)
class Running:
    """A choice in a slot.

    Attributes:
        job: Its request.
        index: Which choice.
        choice: How it draws, and what guides it.
        history: What its penalties count.
        tokens: What it has generated.
    """

    job: Job
    index: int
    choice: Choice
    history: History
    tokens: list[int] = field(default_factory=list)
    _looked_ahead: "_Ahead | Exception | None" = None

    @property
    def position(self) -> int:
        """Where its last token stands in the sequence."""
        return len(self.job.request.prompt) + len(self.tokens) - 1

    @property
    def looks_ahead(self) -> bool:
        """Whether `look_ahead` saves time."""
        return self.choice.guide.looks_ahead

    def look_ahead(self) -> None:
        """Asks the guide about the next token, before its logits are there."""
        try:
            self._looked_ahead = self._ask()
        except Exception as error:
            self._looked_ahead = error

    def advance(self, logits: NDArray[np.float32], vocabulary: Vocabulary) -> TokenStep:
        """Takes the next token.

        Args:
            logits: Shape (vocabulary,).
            vocabulary: The model's tokens.

        Raises:
            Exception: What the guide raises.
        """
        request, choice = self.job.request, self.choice
        ahead, self._looked_ahead = self._looked_ahead or self._ask(), None
        if isinstance(ahead, Exception):
            raise ahead
        token = ahead.forced
        if token is None:
            token = sample(logits, choice.sampling, self.history, len(self.tokens), ahead.mask)
        if token is None:
            return TokenStep(self.index, None, b"", finish=choice.guide.exhausted())
        self.tokens.append(token)
        self.history.accept(token)
        finish = choice.guide.accept(token) or self._out_of_room(vocabulary.context)
        piece = vocabulary.piece(token)
        if request.top_logprobs is None:
            return TokenStep(self.index, token, piece, finish=finish)
        own, top = logprobs(logits, token, request.top_logprobs)
        return TokenStep(self.index, token, piece, own, top, finish)

    def _ask(self) -> "_Ahead":
        guide = self.choice.guide
        forced = guide.forced()
        return _Ahead(forced[0], None) if forced else _Ahead(None, guide.mask())

    def _out_of_room(self, context: int) -> FinishReason | None:
        room = context - len(self.job.request.prompt)
        return "length" if len(self.tokens) >= min(self.job.request.max_tokens, room) else None


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What a guide says of a position: the token that must come, or a mask."""

    forced: int | None
    mask: NDArray[np.uint32] | None


def look_ahead(running: Iterable[Running]) -> None:
    """Asks the guides of all about their next tokens; what goes wrong comes up at their turn."""
    for each in running:
        each.look_ahead()
