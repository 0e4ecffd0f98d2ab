"""A choice that runs: what it remembers, and its next tokens."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import ParamSpec

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.core.adapters import handle_of
from friendli_endpoint.engine.core.backend import LONGEST_RUN, Logits
from friendli_endpoint.engine.core.drafts import SHORTEST_DRAFT, Drafts
from friendli_endpoint.engine.core.sampling import History, logprobs, sample
from friendli_endpoint.engine.core.scheduler import Job
from friendli_endpoint.generation import Choice, TokenStep, Vocabulary

__all__ = ["Outcome", "Running", "attempt", "look_ahead"]

Outcome = Sequence[TokenStep] | Exception
"""The tokens that a choice has taken, or what went wrong with it."""

P = ParamSpec("P")


@dataclass(slots=True, eq=False)
class Running:
    """A choice in a slot.

    At every position its guide is asked what is forced, then, if nothing is, for a mask; both may
    be asked before the logits are there, and what goes wrong comes up when they are.

    Attributes:
        job: Its request.
        index: Which choice.
        choice: How it draws, and what guides it.
        history: What its penalties count.
        vocabulary: The model's tokens.
        tokens: What it has generated.
        drafts: Guesses of what it says next.
        forced: What must come next, once `ask_forced` was called: no more than there is room for.
    """

    job: Job
    index: int
    choice: Choice
    history: History
    vocabulary: Vocabulary
    tokens: list[int] = field(default_factory=list)
    drafts: Drafts = field(default_factory=Drafts)
    forced: Sequence[int] = ()
    _mask: NDArray[np.uint32] | None = None
    _fault: Exception | None = None
    _asked_forced: bool = False
    _asked_mask: bool = False

    @property
    def position(self) -> int:
        """Where its last token stands in the sequence."""
        return len(self.job.request.prompt) + len(self.tokens) - 1

    @property
    def adapter(self) -> int | None:
        """What the backend calls that by which the weights are changed for it."""
        return handle_of(self.job.adapter)

    @property
    def looks_ahead(self) -> bool:
        """Whether `look_ahead` saves time."""
        return self.choice.guide.looks_ahead

    def ask_forced(self) -> None:
        """Asks the guide what must come next, once a position."""
        if self._asked_forced:
            return
        self._asked_forced = True
        try:
            self.forced = tuple(self.choice.guide.forced())[: min(LONGEST_RUN, self._room)]
        except Exception as error:
            self._fault = error

    def look_ahead(self) -> None:
        """Asks the guide what may come next, once a position, unless something must."""
        self.ask_forced()
        if self.forced or self._fault is not None or self._asked_mask:
            return
        self._asked_mask = True
        try:
            self._mask = self.choice.guide.mask()
        except Exception as error:
            self._fault = error

    def follow(self, rows: Sequence[Logits]) -> list[TokenStep]:
        """Takes all forced tokens, as far as none ends the choice.

        Args:
            rows: The logits, shape (vocabulary,), that each is reported with; empty where the
                request wants no log probabilities.

        Raises:
            Exception: What the guide raises.
        """
        steps: list[TokenStep] = []
        for number, token in enumerate(self.forced):
            steps.append(self._accept(token, rows[number] if rows else None))
            if steps[-1].finish is not None:
                break
        return steps

    def draft(self, end: int) -> Sequence[int]:
        """What may well come next, so that it is worth computing; often nothing.

        Args:
            end: Position in the sequence up to which tokens may be computed ahead.
        """
        most = min(self._room, end - self.position) - 1
        if most < SHORTEST_DRAFT:
            return ()
        said = np.array(self.tokens, np.int32)
        return self.drafts.propose(np.concatenate((self.job.tokens, said)), most)

    def take(self, rows: Sequence[Logits], draft: Sequence[int] = ()) -> list[TokenStep]:
        """Takes tokens as they come, as long as they are those of a draft, and one more.

        Args:
            rows: Logits of shape (vocabulary,), after the last token and after each of the draft.
            draft: Tokens that were computed ahead.

        Raises:
            Exception: What the guide raises.
        """
        steps: list[TokenStep] = []
        for logits, guess in zip(rows, (*draft, None), strict=True):
            steps.append(self._advance(logits))
            if steps[-1].finish is not None or steps[-1].token_id != guess:
                break
        return steps

    def _advance(self, logits: Logits) -> TokenStep:
        """Takes the next token."""
        self.look_ahead()
        if self._fault is not None:
            raise self._fault
        if self.forced:
            return self._accept(self.forced[0], logits)
        choice = self.choice
        token = sample(logits, choice.sampling, self.history, len(self.tokens), self._mask)
        if token is None:
            return TokenStep(self.index, None, b"", finish=choice.guide.exhausted())
        return self._accept(token, logits)

    def _accept(self, token: int, logits: Logits | None) -> TokenStep:
        self.forced, self._mask = (), None
        self._asked_forced = self._asked_mask = False
        self.tokens.append(token)
        self.history.accept(token)
        self.drafts.accept(token)
        finish = self.choice.guide.accept(token) or (None if self._room else "length")
        piece = self.vocabulary.piece(token)
        wanted = self.job.request.top_logprobs
        if wanted is None or logits is None:
            return TokenStep(self.index, token, piece, finish=finish)
        own, top = logprobs(logits, token, wanted)
        return TokenStep(self.index, token, piece, own, top, finish)

    @property
    def _room(self) -> int:
        """How many tokens it may still generate."""
        request = self.job.request
        room = self.vocabulary.context - len(request.prompt)
        return min(request.max_tokens, room) - len(self.tokens)


def look_ahead(running: Iterable[Running]) -> None:
    """Asks the guides of all about their next tokens."""
    for each in running:
        each.look_ahead()


def attempt(take: Callable[P, Sequence[TokenStep]], *given: P.args, **named: P.kwargs) -> Outcome:
    """What comes of having a choice take tokens."""
    try:
        return take(*given, **named)
    except Exception as error:
        return error
