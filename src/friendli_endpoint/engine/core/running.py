"""A sequence that runs: what it remembers, and its next tokens."""

from collections import abc
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ParamSpec

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.core.adapters import handle_of
from friendli_endpoint.engine.core.backend import MAX_RUN, Logits
from friendli_endpoint.engine.core.drafts import SHORTEST_DRAFT, Drafts
from friendli_endpoint.engine.core.sampling import History, logprobs, sample
from friendli_endpoint.engine.core.sequence import Sequence
from friendli_endpoint.generation import Guide, SamplingParams, TokenStep

__all__ = ["Outcome", "Running", "attempt", "look_ahead"]

Outcome = abc.Sequence[TokenStep] | Exception
"""The tokens that a sequence has taken, or what went wrong with it."""

P = ParamSpec("P")


@dataclass(slots=True, eq=False)
class Running:
    """The state of a sequence that generates.

    At every position its guide is asked what is forced, then, if nothing is, for a mask; both may
    be asked before the logits are there, and what goes wrong comes up when they are.

    Attributes:
        sequence: The sequence.
        guide: Decides what it may generate.
        history: What its penalties count.
        context: Tokens that it can hold.
        tokens: What it has generated.
        drafts: Guesses of what it generates next.
        forced: What must come next, once `ask_fast_forward` was called: no more than there is room
        for.
    """

    sequence: Sequence
    guide: Guide
    history: History
    context: int
    tokens: list[int] = field(default_factory=list)
    drafts: Drafts = field(default_factory=Drafts)
    forced: abc.Sequence[int] = ()
    _mask: NDArray[np.uint32] | None = None
    _fault: Exception | None = None
    _asked_forced: bool = False
    _asked_mask: bool = False

    @property
    def position(self) -> int:
        """Where its last token stands in the sequence."""
        return self.sequence.group.tokens.size + len(self.tokens) - 1

    @property
    def adapter(self) -> int | None:
        """The backend's handle of the adapter that changes the weights for it."""
        return handle_of(self.sequence.group.adapter)

    @property
    def looks_ahead(self) -> bool:
        """Whether `look_ahead` saves time."""
        return self.guide.looks_ahead

    def ask_fast_forward(self) -> None:
        """Asks the guide what must come next, once a position."""
        if self._asked_forced:
            return
        self._asked_forced = True
        try:
            self.forced = tuple(self.guide.fast_forward_tokens())[: min(MAX_RUN, self._room)]
        except Exception as error:
            self._fault = error

    def look_ahead(self) -> None:
        """Asks the guide what may come next, once a position, unless something must."""
        self.ask_fast_forward()
        if self.forced or self._fault is not None or self._asked_mask:
            return
        self._asked_mask = True
        try:
            self._mask = self.guide.mask()
        except Exception as error:
            self._fault = error

    def follow(self, rows: abc.Sequence[Logits]) -> list[TokenStep]:
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
            if steps[-1].findings.finish is not None:
                break
        return steps

    def draft(self, end: int) -> abc.Sequence[int]:
        """What may well come next, so that it is worth computing; often nothing.

        Args:
            end: Position in the sequence up to which tokens may be computed ahead.
        """
        room = min(self._room, end - self.position) - 1
        if room < SHORTEST_DRAFT:
            return ()
        generated = np.array(self.tokens, np.int32)
        return self.drafts.propose(np.concatenate((self.sequence.group.tokens, generated)), room)

    def take(self, rows: abc.Sequence[Logits], draft: abc.Sequence[int] = ()) -> list[TokenStep]:
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
            if steps[-1].findings.finish is not None or steps[-1].token_id != guess:
                break
        return steps

    def _advance(self, logits: Logits) -> TokenStep:
        """Takes the next token."""
        self.look_ahead()
        if self._fault is not None:
            raise self._fault
        if self.forced:
            return self._accept(self.forced[0], logits)
        token = sample(logits, self._sampling, self.history, len(self.tokens), self._mask)
        if token is None:
            return TokenStep(self.sequence.choice, None, self.guide.exhausted())
        return self._accept(token, logits)

    def _accept(self, token: int, logits: Logits | None) -> TokenStep:
        self.forced, self._mask = (), None
        self._asked_forced = self._asked_mask = False
        self.tokens.append(token)
        self.history.accept(token)
        self.drafts.accept(token)
        findings = self.guide.accept(token, is_last=self._room == 0)
        top = self.sequence.group.request.top_logprobs
        if top is None or logits is None or findings.is_end:
            return TokenStep(self.sequence.choice, token, findings)
        own, likeliest = logprobs(logits, token, top)
        return TokenStep(self.sequence.choice, token, findings, own, likeliest)

    @property
    def _sampling(self) -> SamplingParams:
        return self.sequence.group.request.choices[self.sequence.choice]

    @property
    def _room(self) -> int:
        """How many tokens it may still generate."""
        group = self.sequence.group
        room = self.context - group.tokens.size
        return min(group.request.max_tokens, room) - len(self.tokens)


def look_ahead(waiting: Iterable[Running]) -> None:
    """Asks the guides of all about their next tokens."""
    for running in waiting:
        running.look_ahead()


def attempt(
    take: Callable[P, abc.Sequence[TokenStep]], *given: P.args, **named: P.kwargs
) -> Outcome:
    """The tokens that a sequence takes, or what goes wrong with that."""
    try:
        return take(*given, **named)
    except Exception as error:
        return error
