"""Generation requests, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "VERSION",
    "DecodingRules",
    "GenerationRequest",
    "Grammar",
    "MediaSegment",
    "ReasoningRule",
    "SamplingParams",
    "Segment",
    "TextSegment",
]

_REQUEST_BYTES = 64 << 10
_CHOICE_BYTES = 1 << 10
_TOKEN_BYTES = 44
_ENTRY_BYTES = 100
_PREFIX_BYTES = 100
"""Measured sizes of a request with its connection, of a choice, of a token id of the prompt, of an
id in a table, and of a character of the answer's prefix (30 for each of its bytes)."""

VERSION = 4
"""Version of `GenerationRequest` and the events; an engine rejects other versions."""


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Sampling parameters of one choice; the default of each field disables it.

    `engine/core/sampling.py` states the formulas and their sources.

    Attributes:
        seed: Key of the choice's random numbers, in [0, 2**64).
        temperature: At least 0; below 1e-5 sampling is greedy.
        top_k: Number of most likely tokens to keep; 0 keeps all.
        top_p: Cumulative probability of the most likely tokens to keep, in (0, 1]; 1 keeps all.
        min_p: Minimum probability of a token relative to the most likely one, in [0, 1]; 0 keeps
            all.
        repetition_penalty: Above 0, applied to tokens of prompt and output; 1 disables it.
        frequency_penalty: In [-2, 2], subtracted per earlier occurrence in the output.
        presence_penalty: In [-2, 2], subtracted once from each token that occurs in the output.
        logit_bias: Addends to logits by token id; minus infinity bans the token.
        xtc_threshold: Minimum probability of the tokens that XTC may remove, in [0, 1]; 0 disables
            XTC.
        xtc_probability: Probability that XTC applies at a position, in [0, 1]; 0 disables XTC.
        xtc_protected: Token ids that XTC must not remove: EOS ids and newlines.
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
    xtc_protected: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Grammar:
    """Grammar that the answer must match, in the form that llguidance takes.

    Attributes:
        kind: The language of `text`.
        text: A JSON schema, a regular expression, or a Lark grammar.
    """

    kind: Literal["json_schema", "regex", "lark"]
    text: str

    @property
    def num_bytes(self) -> int:
        """Estimate of the memory that it takes once it is compiled, in bytes.

        Measured with llguidance: 450 bytes a character for a constant of 8,192, 150 for the names
        of many properties.
        """
        num_first = min(len(self.text), 8192)
        return (64 << 10) + 450 * num_first + 150 * (len(self.text) - num_first)


@dataclass(frozen=True, slots=True)
class ReasoningRule:
    """Form of the reasoning that may come before the answer.

    Attributes:
        open: The tag that begins the reasoning.
        close: The tag that ends the reasoning.
        preludes: Texts that may precede an answer without reasoning, and are not part of it.
        interruptions: Texts that end the reasoning and belong to the answer: tool-call markers.
        trims: Whether white space between a tag and the answer is removed from the answer.
        start: State in which the output begins: `start` if the opening tag may come; `reasoning`
            or `answer` if the prompt ends with a tag, or inside that text.
        budget: Maximum number of reasoning tokens, at least 1, or None.
        other_opens: Other texts that begin the reasoning.
        other_closes: Other texts that end the reasoning.
        answer_open: Tag that may begin the answer after the reasoning, and is not part of it; empty
            if there is none.
        answer_close: Tag that may end an answer, and is not part of it; empty if there is none.
        other_answer_closes: Other tags that may do so.
        before: The end of the reasoning or the answer that is in the prompt already, at most 256
            characters; empty if the output begins it. A tag may begin in it.
    """

    open: str
    close: str
    preludes: tuple[str, ...] = ()
    interruptions: tuple[str, ...] = ()
    trims: bool = True
    start: Literal["start", "reasoning", "answer"] = "start"
    budget: int | None = None
    other_opens: tuple[str, ...] = ()
    other_closes: tuple[str, ...] = ()
    answer_open: str = ""
    answer_close: str = ""
    other_answer_closes: tuple[str, ...] = ()

    @property
    def opens(self) -> tuple[str, ...]:
        """All texts that begin the reasoning."""
        return (self.open, *self.other_opens)

    @property
    def closes(self) -> tuple[str, ...]:
        """All texts that end the reasoning."""
        return (self.close, *self.other_closes)

    @property
    def answer_opens(self) -> tuple[str, ...]:
        """The texts that may begin an answer after the reasoning: one, or none."""
        return (self.answer_open,) if self.answer_open else ()

    @property
    def answer_closes(self) -> tuple[str, ...]:
        """All tags that may end an answer."""
        return (self.answer_close, *self.other_answer_closes) if self.answer_close else ()

    before: str = ""


@dataclass(frozen=True, slots=True)
class DecodingRules:
    """Decoding rules of every choice of a request; a `GuideMaker` makes a `Guide` from them.

    Attributes:
        end_ids: EOS ids: tokens that end a choice.
        visible_ids: Control tokens that are part of the output text; other control tokens are not.
        stop: Stop strings, none of them empty.
        min_tokens: Number of tokens before which a choice must not end by an EOS id or a stop
            string.
        grammar: The grammar of the answer, or None.
        reasoning: The form of the reasoning before the answer, or None if the model does not
            reason.
        answer_prefix: Beginning of the answer that the prompt ends with; the grammar must match it
            and the output together. Empty without a grammar.
    """

    end_ids: tuple[int, ...]
    visible_ids: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()
    min_tokens: int = 0
    grammar: Grammar | None = None
    reasoning: ReasoningRule | None = None
    answer_prefix: str = ""


@dataclass(frozen=True, slots=True)
class TextSegment:
    """Text in a prompt.

    Attributes:
        token_ids: At least one token id.
    """

    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MediaSegment:
    """Image, audio or video in a prompt.

    Attributes:
        num_tokens: Number of positions that the segment occupies in the context.
        digest: Digest of the content, 32 bytes: equal media have equal digests.
        content: The encoded file.
    """

    num_tokens: int
    digest: bytes
    content: bytes


Segment = TextSegment | MediaSegment


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Request to an engine, as plain data.

    Attributes:
        request_id: Unique among the requests in the engine.
        prompt: At least one token, fewer tokens than the context.
        choices: Sampling parameters of each choice, at least one; the choices share the prefill.
        rules: Decoding rules of all choices.
        max_tokens: Maximum number of tokens that each choice may generate, at least 1.
        top_logprobs: Number of most likely tokens to report at each position (0 reports only the
            sampled token), or None to report no log probabilities.
        adapter: Route of the adapter to use, or None for the base model.
        stream: Whether each event must be delivered at once; otherwise events may be delivered in
            groups.
        version: Version of this form, `VERSION`.
        resumed: Whether an engine that was lost had accepted this request before. An engine queues
            it ahead of those that it accepts for the first time, and never rejects it because the
            queue is full.
    """

    request_id: str
    prompt: tuple[Segment, ...]
    choices: tuple[SamplingParams, ...]
    rules: DecodingRules
    max_tokens: int
    top_logprobs: int | None = None
    adapter: str | None = None
    stream: bool = True
    version: int = VERSION
    resumed: bool = False

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """Token ids of the prompt, if it is only text.

        Raises:
            ValueError: The prompt contains media.
        """
        ids: list[int] = []
        for segment in self.prompt:
            if not isinstance(segment, TextSegment):
                raise ValueError("the prompt contains media")
            ids += segment.token_ids
        return tuple(ids)

    @property
    def num_prompt_tokens(self) -> int:
        """Number of positions that the prompt occupies in the context."""
        return sum(
            len(segment.token_ids) if isinstance(segment, TextSegment) else segment.num_tokens
            for segment in self.prompt
        )

    @property
    def num_bytes(self) -> int:
        """Estimate of the memory that it takes while it waits, without its grammar, in bytes."""
        stop_bytes = sum(len(stop.encode(errors="replace")) for stop in self.rules.stop)
        return (
            _REQUEST_BYTES
            + _PREFIX_BYTES * len(self.rules.answer_prefix)
            + _TOKEN_BYTES * self.num_prompt_tokens
            + 14 * stop_bytes
            + _CHOICE_BYTES * len(self.choices)
            + _ENTRY_BYTES * (len(self.rules.end_ids) + len(self.choices[0].logit_bias))
        )
