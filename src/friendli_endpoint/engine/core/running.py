"""Running sequence: its state, and how it takes its next tokens."""

from collections import abc
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ParamSpec

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.core.adapters import handle_of
from friendli_endpoint.engine.core.backend import MAX_RUN, Logits
from friendli_endpoint.engine.core.drafts import MIN_DRAFT, Drafter
from friendli_endpoint.engine.core.sampling import History, logprobs, sample
from friendli_endpoint.engine.core.sequence import Sequence
from friendli_endpoint.generation import Guide, SamplingParams, TokenStep

__all__ = ["Outcome", "RunningSequence", "attempt", "query_fast_forward", "query_guides"]

Outcome = abc.Sequence[TokenStep] | Exception
"""The tokens that a sequence has generated in a step, or the exception that was raised."""

P = ParamSpec("P")


@dataclass(slots=True, eq=False)
class RunningSequence:
    """State of a sequence that is decoding.

    At every position its guide is asked for fast-forward tokens, then, if there are none, for a
    mask. Both may be asked for before the logits are there; an exception of the guide is then
    raised when the next token is taken.

    Attributes:
        sequence: The sequence.
        guide: Its guide.
        history: The tokens that its penalties count.
        context: Maximum number of tokens of a sequence.
        tokens: Its output so far.
        drafter: Proposes drafts of its next tokens.
        fast_forward_tokens: The tokens that must come next, once `query_fast_forward` was called;
            no more than the sequence may still generate.
    """

    sequence: Sequence
    guide: Guide
    history: History
    context: int
    tokens: list[int] = field(default_factory=list)
    drafter: Drafter = field(default_factory=Drafter)
    fast_forward_tokens: abc.Sequence[int] = ()
    _mask: NDArray[np.uint32] | None = None
    _fault: Exception | None = None
    _queried_fast_forward: bool = False
    _queried_mask: bool = False

    @property
    def position(self) -> int:
        """Position of its last token in the sequence."""
        return self.sequence.group.tokens.size + len(self.tokens) - 1

    @property
    def adapter(self) -> int | None:
        """The backend's handle of its adapter, or None for the base model."""
        return handle_of(self.sequence.group.adapter)

    @property
    def looks_ahead(self) -> bool:
        """Whether to ask the guide on a worker thread, because it may take long."""
        return self.guide.looks_ahead

    def query_fast_forward(self) -> None:
        """Asks the guide for fast-forward tokens, once per position."""
        if self._queried_fast_forward:
            return
        self._queried_fast_forward = True
        try:
            tokens = self.guide.fast_forward_tokens()
            self.fast_forward_tokens = tuple(tokens[: min(MAX_RUN, self._remaining)])
        except Exception as error:
            self._fault = error

    def query_guide(self) -> None:
        """Asks the guide for fast-forward tokens, else for a mask, once per position."""
        self.query_fast_forward()
        if self.fast_forward_tokens or self._fault is not None or self._queried_mask:
            return
        self._queried_mask = True
        try:
            self._mask = self.guide.mask()
        except Exception as error:
            self._fault = error

    def fast_forward(self, rows: abc.Sequence[Logits]) -> list[TokenStep]:
        """Takes all fast-forward tokens, up to the end of the choice.

        Args:
            rows: The logits at the position of each token, for its log probabilities; empty if the
                request asks for none.

        Raises:
            Exception: Any exception of the guide.
        """
        steps: list[TokenStep] = []
        for number, token in enumerate(self.fast_forward_tokens):
            steps.append(self._append(token, rows[number] if rows else None))
            if steps[-1].findings.finish is not None:
                break
        return steps

    def propose_draft(self, end: int) -> abc.Sequence[int]:
        """Proposes a draft of the next tokens, if one is worth computing; often empty.

        Args:
            end: Position in the sequence up to which tokens may be drafted.
        """
        max_tokens = min(self._remaining, end - self.position) - 1
        if max_tokens < MIN_DRAFT:
            return ()
        output = np.array(self.tokens, np.int32)
        tokens = np.concatenate((self.sequence.group.tokens, output))
        return self.drafter.propose(tokens, max_tokens)

    def sample_tokens(
        self, rows: abc.Sequence[Logits], draft: abc.Sequence[int] = ()
    ) -> list[TokenStep]:
        """Samples tokens as long as they equal those of a draft, and one more.

        Args:
            rows: Logits after the last token, and after each token of the draft.
            draft: Draft tokens that were computed ahead.

        Raises:
            Exception: Any exception of the guide.
        """
        steps: list[TokenStep] = []
        for logits, guess in zip(rows, (*draft, None), strict=True):
            steps.append(self._next_token(logits))
            if steps[-1].findings.finish is not None or steps[-1].token_id != guess:
                break
        return steps

    def _next_token(self, logits: Logits) -> TokenStep:
        """Takes a fast-forward token, or samples a token."""
        self.query_guide()
        if self._fault is not None:
            raise self._fault
        if self.fast_forward_tokens:
            return self._append(self.fast_forward_tokens[0], logits)
        token = sample(logits, self._sampling, self.history, len(self.tokens), self._mask)
        if token is None:
            return TokenStep(self.sequence.choice, None, self.guide.exhausted())
        return self._append(token, logits)

    def _append(self, token: int, logits: Logits | None) -> TokenStep:
        self.fast_forward_tokens, self._mask = (), None
        self._queried_fast_forward = self._queried_mask = False
        self.tokens.append(token)
        self.history.add(token)
        self.drafter.observe(token)
        findings = self.guide.accept(token, is_last=self._remaining == 0)
        top = self.sequence.group.request.top_logprobs
        if top is None or logits is None or findings.is_end:
            return TokenStep(self.sequence.choice, token, findings)
        own, likeliest = logprobs(logits, token, top)
        return TokenStep(self.sequence.choice, token, findings, own, likeliest)

    @property
    def _sampling(self) -> SamplingParams:
        return self.sequence.group.request.choices[self.sequence.choice]

    @property
    def _remaining(self) -> int:
        """Number of tokens that it may still generate."""
        group = self.sequence.group
        context_tokens = self.context - group.tokens.size
        return min(group.request.max_tokens, context_tokens) - len(self.tokens)


def query_fast_forward(sequences: Iterable[RunningSequence]) -> None:
    """Asks the guide of each sequence for fast-forward tokens."""
    for sequence in sequences:
        sequence.query_fast_forward()


def query_guides(sequences: Iterable[RunningSequence]) -> None:
    """Asks the guide of each sequence about its next token."""
    for sequence in sequences:
        sequence.query_guide()


def attempt(
    take: Callable[P, abc.Sequence[TokenStep]], *given: P.args, **named: P.kwargs
) -> Outcome:
    """Calls a method that takes tokens; returns its result, or the exception that it raises."""
    try:
        return take(*given, **named)
    except Exception as error:
        return error
