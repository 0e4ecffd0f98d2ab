"""Events of a request, as plain data."""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Event",
    "FinishReason",
    "Generated",
    "OutputSpan",
    "Started",
    "TokenFindings",
    "TokenLogprob",
    "TokenStep",
]

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class OutputSpan:
    """Span of a choice's output that later tokens cannot change.

    Whether it is reasoning or answer is decided, and it is not part of a stop string.

    Attributes:
        reasoning: Whether the span belongs to the reasoning, tags included.
        raw: The bytes that the model generated, not empty; may be incomplete UTF-8.
        trimmed: `raw` without tags and without the white space around them; may be empty. None if
            `raw` has none of them.
    """

    reasoning: bool
    raw: bytes
    trimmed: bytes | None = None

    @property
    def text(self) -> bytes:
        """The output without tags and without the white space around them."""
        return self.raw if self.trimmed is None else self.trimmed


@dataclass(frozen=True, slots=True)
class TokenFindings:
    """Meaning of one token in the output of its choice.

    Attributes:
        num_bytes: Number of bytes that the token adds to the output; 0 for tokens that are not
            text.
        spans: Output that became certain with this token, in order. The spans of all tokens
            together are the output up to its end, or up to the stop string that ended it.
        finish: Finish reason if the choice ends with this token, else None.
        is_end: Whether the token is an EOS token, for which no log probability is reported.
    """

    num_bytes: int
    spans: tuple[OutputSpan, ...] = ()
    finish: FinishReason | None = None
    is_end: bool = False


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """Log probability of a token.

    Attributes:
        token_id: The token.
        logprob: Natural logarithm of the softmax of the raw logits, in [-9999, 0].
    """

    token_id: int
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenStep:
    """One token that a choice generated, and its meaning.

    Attributes:
        choice: Index of the choice in `GenerationRequest.choices`, from 0.
        token_id: The token; None if the choice ended without one because no token was allowed.
        findings: The meaning of the token in the output.
        logprob: The token's own log probability, if the request asks for it.
        top_logprobs: The most likely tokens at this position in descending order, ties in
            ascending order of ids; as many as the request asks for.
    """

    choice: int
    token_id: int | None
    findings: TokenFindings
    logprob: TokenLogprob | None = None
    top_logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """Event for the end of a request's prefill; comes once, before the first `Generated`.

    Attributes:
        cached_tokens: Number of prompt tokens that were taken from the prefix cache.
        queue_seconds: Seconds from the submission to the start of the prefill.
        prefill_seconds: Seconds from the start to the end of the prefill.
    """

    cached_tokens: int
    queue_seconds: float
    prefill_seconds: float


@dataclass(frozen=True, slots=True)
class Generated:
    """Event with the tokens that the choices of a request generated in one step of the engine.

    Attributes:
        steps: At least one; the steps of one choice are in order.
        seconds: Seconds from the submission to these tokens.
    """

    steps: tuple[TokenStep, ...]
    seconds: float

    @property
    def num_finished(self) -> int:
        """Number of choices that finish in this event."""
        return sum(step.findings.finish is not None for step in self.steps)


Event = Started | Generated
