"""What the rooms of the endpoint say to each other; it imports nothing of ours.

`chat/` turns a conversation into a `GenerationRequest` and reads the `TokenStep`s that come back;
`engine/` turns the one into the other; `http/` only carries. A `Refusal` is how any of them says
that a request cannot be served, in words meant for the client.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Choice",
    "Deliver",
    "Engine",
    "Failure",
    "FinishReason",
    "GenerationRequest",
    "Guide",
    "Message",
    "Refusal",
    "SamplingParams",
    "Started",
    "StepReport",
    "TokenLogprob",
    "TokenStep",
    "Vocabulary",
]

FinishReason = Literal["stop", "length", "tool_calls"]


class Refusal(Exception):
    """A request that is not served, and why.

    Args:
        message: A sentence for the client: what is wrong and what is allowed.
        param: The field at fault, as a path such as `messages[0].content`, if there is one.
        status: The HTTP status that says the same, 4xx or 503.
        code: A short machine-readable word.
        retry_after: Seconds after which the same request may succeed, if that is so.
    """

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        status: int = 400,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status
        self.code = code
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How one choice draws its tokens; the neutral value of each field switches it off.

    Attributes:
        seed: Key of the choice's generator, in [0, 2**64).
        temperature: At least 0; below 1e-5 the most likely token is taken.
        top_k: Keep so many tokens; 0 keeps all.
        top_p: In (0, 1]; 1 keeps all.
        min_p: In [0, 1], relative to the likeliest token; 0 keeps all.
        repetition_penalty: Above 0, over prompt and output; 1 is off.
        frequency_penalty: In [-2, 2], per earlier occurrence in the output.
        presence_penalty: In [-2, 2], once per token that occurs in the output.
        logit_bias: Token id to addend; minus infinity bans the token.
        xtc_threshold: In [0, 1]; 0 is off.
        xtc_probability: In [0, 1]; 0 is off.
        xtc_protected: Token ids that XTC may not remove: ends and newlines.
    """

    seed: int
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    xtc_threshold: float = 0.0
    xtc_probability: float = 0.0
    xtc_protected: frozenset[int] = frozenset()


class Guide(Protocol):
    """What one choice may do next; made in `chat/`, asked by the engine at every position.

    A guide owns all that must act inside the loop, so that the engine never runs past an end. It
    is called by one thread at a time, in the order `forced`, `mask` if nothing is forced, `accept`
    or `exhausted`; forced tokens may be accepted in a row without being asked for again.

    Attributes:
        looks_ahead: Whether `forced` and `mask` take time, and are better asked for by another
            thread while the logits are computed.
    """

    looks_ahead: bool

    def mask(self) -> NDArray[np.uint32] | None:
        """The tokens allowed next: shape (ceil(vocabulary / 32),), a set bit = allowed.

        Token `t` is bit `t % 32` of word `t // 32`. None allows every token.
        """
        ...

    def forced(self) -> Sequence[int]:
        """Token ids that must come next and need no sampling; usually empty."""
        ...

    def accept(self, token_id: int) -> FinishReason | None:
        """Takes the token that was generated.

        Returns:
            Why the choice ends with this token, or None to go on.
        """
        ...

    def exhausted(self) -> FinishReason:
        """Why the choice ends where no token is possible, by the mask or for other reasons."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the independent continuations of a prompt."""

    sampling: SamplingParams
    guide: Guide


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """All that the engine needs to know of a request.

    Attributes:
        request_id: Unique among the requests in the engine; what `cancel` takes.
        prompt: At least one token id, fewer than the context.
        choices: At least one; they share the prefill of the prompt.
        max_tokens: At least 1: how many tokens each choice may generate.
        top_logprobs: How many likeliest tokens to report at each position (0 reports only the
            token that was drawn), or None to report nothing.
        adapter: Route of the adapter that the weights are changed by, or None for the model as it
            is.
    """

    request_id: str
    prompt: tuple[int, ...]
    choices: tuple[Choice, ...]
    max_tokens: int
    top_logprobs: int | None = None
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token and the natural logarithm of its probability under the raw logits, at least -9999."""

    token_id: int
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenStep:
    """One token that a choice generated.

    Attributes:
        choice: Index of the choice, from 0.
        token_id: The token; None where a choice ends without one, because nothing was allowed.
        piece: The token's bytes; control tokens are given as their text.
        logprob: The token's own log probability, where it was asked for.
        top_logprobs: The likeliest tokens at this position, most likely first, ties to the lower
            id.
        finish: Why the choice ends with this token, or None.
    """

    choice: int
    token_id: int | None
    piece: bytes
    logprob: TokenLogprob | None = None
    top_logprobs: tuple[TokenLogprob, ...] = ()
    finish: FinishReason | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The prompt of a request has been taken in; comes once, before the first of its steps.

    Attributes:
        cached_tokens: Tokens of the prompt that needed no computing, because they were cached.
        queue_seconds: From the submission to the first work on the prompt.
        prefill_seconds: From there until the whole prompt was in.
    """

    cached_tokens: int
    queue_seconds: float
    prefill_seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """The engine cannot finish a request that it had accepted."""

    message: str


Message = Sequence[TokenStep] | Started | Failure
"""What a request hears of itself: it has started, it goes on, or it has failed."""

Deliver = Callable[[Message], None]
"""Takes what a request has produced; called from the engine's thread, must not block or raise."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """One turn of the engine, for those who watch it.

    Attributes:
        seconds: How long it took.
        decoded: Choices that decoded a token.
        prefilled: Prompt tokens that were computed.
        running: Choices that hold a sequence after it.
        queued: Requests that wait for their first work.
        queued_tokens: Prompt tokens of those.
        held_tokens: Tokens in the key-value cache, of running choices and of finished ones.
        room_tokens: Tokens that the key-value cache can hold.
        drafted: Tokens that were computed ahead because they were guessed.
        accepted: Those of them that the choice drew in truth.
    """

    seconds: float
    decoded: int
    prefilled: int
    running: int
    queued: int
    queued_tokens: int
    held_tokens: int
    room_tokens: int
    drafted: int = 0
    accepted: int = 0


class Vocabulary(Protocol):
    """The token ids of a model and the bytes they stand for.

    Attributes:
        size: Number of token ids.
        context: Most tokens, prompt and output together, that one choice can hold.
        end_ids: The model's own end-of-sequence set.
        control_ids: Tokens that steer and are no text, the ends included.
        bos_id: The begin-of-sequence token, if the model has one.
        eos_id: The chief end-of-sequence token, if the model has one.
        adds_bos: Whether every prompt of this model begins with `bos_id`.
    """

    size: int
    context: int
    end_ids: frozenset[int]
    control_ids: frozenset[int]
    bos_id: int | None
    eos_id: int | None
    adds_bos: bool

    def tokenize(self, text: str, special: bool) -> list[int]:
        """Token ids of a text; with `special`, control tokens written out in it are recognised."""
        ...

    def piece(self, token_id: int) -> bytes:
        """The bytes of a token; a control token's are its text."""
        ...


class Engine(Protocol):
    """Serves generation requests, many at once.

    Attributes:
        vocabulary: The model's tokens.
        is_alive: Whether requests can still be served, now or once the current step has ended.
        stalled_seconds: Seconds since the last step, while there is work; 0 while there is none.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens."""
        ...

    @property
    def is_alive(self) -> bool:
        """Whether requests can still be served, now or once the current step has ended."""
        ...

    @property
    def stalled_seconds(self) -> float:
        """Seconds since the last step, while there is work; 0 while there is none."""
        ...

    def submit(self, request: GenerationRequest, deliver: Deliver) -> None:
        """Queues a request; its steps go to `deliver` until every choice has finished.

        Raises:
            Refusal: The engine takes no more work.
        """
        ...

    def cancel(self, request_id: str) -> None:
        """Ends a request within one step; nothing more is delivered for it, finished or not."""
        ...

    def close(self) -> None:
        """Stops after the current step; requests still in the engine get a `Failure`."""
        ...
