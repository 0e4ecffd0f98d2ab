"""Requests to an engine, as plain data."""

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

VERSION = 1
"""Version of `GenerationRequest` and the events; an engine refuses requests of another one."""


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
    xtc_protected: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Grammar:
    """A grammar that an answer must follow, as llguidance takes it.

    Attributes:
        kind: The language of the text.
        text: A JSON schema, a regular expression, or a Lark grammar.
    """

    kind: Literal["json_schema", "regex", "lark"]
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningRule:
    """The reasoning that may come before an answer.

    Attributes:
        open: The tag that begins it.
        close: The tag that ends it.
        preludes: Texts that may stand before an answer without reasoning, and are not part of it.
        interruptions: Texts that end the reasoning and belong to the answer: tool-call markers.
        trims: Whether white space between a tag and the answer is left out of the answer.
        start: Where the output begins: at the `start`, where the tag may come, or within the
            `reasoning` or the `answer`, because the prompt ends with a tag.
        budget: Maximum number of tokens of reasoning, at least 1, or None.
    """

    open: str
    close: str
    preludes: tuple[str, ...] = ()
    interruptions: tuple[str, ...] = ()
    trims: bool = True
    start: Literal["start", "reasoning", "answer"] = "start"
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class DecodingRules:
    """The rules by which every choice of a request is decoded; a `Guide` is made of them.

    Attributes:
        end_ids: Tokens that end a choice.
        visible_ids: Control tokens that are read as text; the others are not text.
        stop: Stop strings, none of them empty.
        min_tokens: How many tokens must come before a choice may end by itself.
        grammar: The grammar of the answer, or None.
        reasoning: The reasoning before the answer; None for a model without.
    """

    end_ids: tuple[int, ...]
    visible_ids: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()
    min_tokens: int = 0
    grammar: Grammar | None = None
    reasoning: ReasoningRule | None = None


@dataclass(frozen=True, slots=True)
class TextSegment:
    """A stretch of a prompt that is text.

    Attributes:
        token_ids: At least one.
    """

    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MediaSegment:
    """A stretch of a prompt that is a picture, a sound or a film.

    Attributes:
        num_tokens: Positions that it takes in the context.
        digest: Names the content: equal media have equal digests, 32 bytes.
        content: The encoded medium.
    """

    num_tokens: int
    digest: bytes
    content: bytes


Segment = TextSegment | MediaSegment


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """All that an engine needs to know of a request: plain data.

    Attributes:
        request_id: Unique among the requests in the engine.
        prompt: At least one token, fewer than the context.
        choices: How each continuation of the prompt is drawn, at least one; they share the
            prefill.
        rules: How all of them are decoded.
        max_tokens: Maximum number of tokens that each choice may generate, at least 1.
        top_logprobs: How many likeliest tokens to report at each position (0 reports only the
            token that was drawn), or None to report nothing.
        adapter: Route of the adapter that changes the weights, or None for the model as it is.
        stream: Whether each step is wanted at once; otherwise steps may come many together.
        version: Of this form.
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

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """Token ids of a prompt that is text.

        Raises:
            ValueError: It holds media.
        """
        ids: list[int] = []
        for segment in self.prompt:
            if not isinstance(segment, TextSegment):
                raise ValueError("the prompt holds media")
            ids += segment.token_ids
        return tuple(ids)

    @property
    def num_prompt_tokens(self) -> int:
        """Positions of the prompt in the context."""
        return sum(
            len(segment.token_ids) if isinstance(segment, TextSegment) else segment.num_tokens
            for segment in self.prompt
        )
