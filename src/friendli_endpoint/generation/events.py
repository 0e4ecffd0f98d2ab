"""Events that an engine gives for a request, as plain data."""

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
    """A stretch of a choice's output that is certain: told apart, and not part of a stop string.

    Attributes:
        reasoning: Whether it belongs to the reasoning, its tags included.
        raw: The bytes that the model wrote, not empty.
        text: Those of them that are text: without tags, and without the white space around them.
    """

    reasoning: bool
    raw: bytes
    text: bytes


@dataclass(frozen=True, slots=True)
class TokenFindings:
    """The meaning of one token in the output of its choice.

    Attributes:
        num_bytes: Bytes that the token adds to the output; 0 for tokens that are not text.
        spans: Output that is certain with this token, in order; the spans of all tokens together
            are the output up to its end, or up to the stop string that ended it.
        finish: Why the choice ends with this token, or None to go on.
        is_end: Whether it is an end-of-sequence token, which has no log probability.
    """

    num_bytes: int
    spans: tuple[OutputSpan, ...] = ()
    finish: FinishReason | None = None
    is_end: bool = False


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token and the natural logarithm of its probability under the raw logits, at least -9999."""

    token_id: int
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenStep:
    """One token that a choice generated, and what was found in it.

    Attributes:
        choice: Index of the choice, from 0.
        token_id: The token; None where a choice ends without one, because nothing was allowed.
        findings: The meaning of the token in the output.
        logprob: The token's own log probability, where it was asked for.
        top_logprobs: The likeliest tokens at this position, most likely first, ties to the lower
            id.
    """

    choice: int
    token_id: int | None
    findings: TokenFindings
    logprob: TokenLogprob | None = None
    top_logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The prompt of a request has been computed; comes once, before the first of its steps.

    Attributes:
        cached_tokens: Tokens of the prompt that needed no computing, because they were cached.
        queue_seconds: Seconds from the submission to the first work on the prompt.
        prefill_seconds: Seconds from there until the whole prompt was computed.
    """

    cached_tokens: int
    queue_seconds: float
    prefill_seconds: float


@dataclass(frozen=True, slots=True)
class Generated:
    """Tokens that the choices of a request have generated in one step of the engine.

    Attributes:
        steps: At least one; those of one choice are in order.
        seconds: Seconds from the submission to these tokens.
    """

    steps: tuple[TokenStep, ...]
    seconds: float

    @property
    def num_finished(self) -> int:
        """Choices that have finished."""
        return sum(step.findings.finish is not None for step in self.steps)


Event = Started | Generated
