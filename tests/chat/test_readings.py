"""Constrained answers that reasoning may come before: random outputs of what is allowed."""

import codecs
import itertools
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.chat.conversation import ChatModel
from friendli_endpoint.chat.decoding.guide import ChoiceGuide, Ending
from friendli_endpoint.chat.decoding.thinking import Thinking
from friendli_endpoint.chat.output.reader import Reader
from friendli_endpoint.chat.reasoning.borders import Borders, spoken_tags
from friendli_endpoint.chat.reasoning.splitter import STYLES, ReasoningStyle
from friendli_endpoint.chat.structured import Constraint, ConstraintCompiler
from friendli_endpoint.chat.tokens import Bitmask, PieceIndex, bitmask_without
from friendli_endpoint.chat.tools import (
    CallArguments,
    CallBegin,
    CallEnd,
    Text,
    ToolSpec,
    family_named,
)
from friendli_endpoint.chat.tools.toolbox import control_markers, marker_of
from friendli_endpoint.generation import FinishReason, TokenStep
from tests.support.scripted import ScriptedVocabulary

NAMED = {style.name: style for style in STYLES}
ANGLES = ReasoningStyle("angles", "<", ">")
BARS = ReasoningStyle("bars", "<|a|>", "<|/a|>", preludes=("<|b|>",))
"""Short tags, so that random outputs come upon them, and upon half of them."""


class Spanning(ScriptedVocabulary):
    """A vocabulary with tokens of its own, some of which span the ends of tags."""

    def __init__(self, *pieces: str, control: tuple[str, ...] = ()) -> None:
        own = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|tool|>")
        super().__init__(context=4096)
        self._texts = [*(each.encode() for each in own), *self._texts[4:]]
        self._texts += [each.encode() for each in (*control, *pieces)]
        self.control_ids |= set(range(self.size, self.size + len(control)))
        self._ids = {text: token for token, text in enumerate(self._texts)}
        self._longest = max(map(len, self._texts))
        self.size = len(self._texts)


SPANS = (">\n", ">\n\n", "><", ">{", ">[", ">1", "></", "<t", "<think", "think", "think>", "ink>4")
TAGGED = ("<think>\n", "</think>\n\n", "</think>x", "<think></think>1", "\n<", " <think>")
CALLS = ("_call>", "_call>\n", "<tool_call>", "<tool", "][", "[TOOL", "[T", "|>", "|>1", "<|b|>x")
VOCABULARIES = {
    "bytes": Spanning(),
    "spanning": Spanning(*SPANS, *TAGGED, *CALLS),
    "control": Spanning(
        *SPANS,
        "][",
        control=("<think>", "</think>", "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<|a|>"),
    ),
}
MODELS = {name: ConstraintCompiler(vocabulary) for name, vocabulary in VOCABULARIES.items()}

SMALL = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "additionalProperties": False}
TOOLS = [ToolSpec("go", None, SMALL)]
REGEXES = [
    "<[a-z]{1,3}>",
    "(<think>)?[0-9]",
    r"\s{0,3}<t?",
    r"[ \n]{1,2}x",
    "a?",
    ">{1,3}",
    "<{1,3}>?",
    r"<\|(a|b|c)\|>[0-9]?",
    r"\[[A-Z]{1,5}[\]/]",
    "Here is [a-z]{1,4}:?",
    "</?think>",
    "(<think></think>)?1",
]
SCHEMAS = [
    SMALL,
    {"type": "array", "items": {"enum": [1, [2]]}, "maxItems": 2},
    {"const": "<think>"},
]
FAMILIES = ["hermes", "mistral", "llama3", "functionary_tags", "glm", "qwen_coder", "pythonic"]


@dataclass(frozen=True)
class Form:
    """What an answer must be like: a pattern, a schema, or calls."""

    regex: str = ""
    schema: int = -1
    family: str = ""
    required: bool = False

    @property
    def calls(self) -> bool:
        return bool(self.family)

    def constraint(self, name: str) -> Constraint:
        compiler, vocabulary = MODELS[name], VOCABULARIES[name]
        if self.regex:
            return compiler.regex(self.regex, vocabulary.end_ids, "r")
        if not self.family:
            return compiler.json_schema(SCHEMAS[self.schema], vocabulary.end_ids, "s")
        family = family_named(self.family)
        grammar = family.grammar(
            TOOLS, required=self.required, parallel=True, marker=marker_of(family, vocabulary)
        )
        return compiler.lark(grammar, vocabulary.end_ids, "t")


FORMS = [
    *(Form(regex=each) for each in REGEXES),
    *(Form(schema=index) for index in range(len(SCHEMAS))),
    *(Form(family=each, required=required) for each in FAMILIES for required in (True, False)),
]


def set_bits(mask: Bitmask, vocabulary: ScriptedVocabulary) -> set[int]:
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    return set(np.flatnonzero(bits[: vocabulary.size]).tolist())


class Choice:
    """One choice of a request: its guide, and readers of what it does.

    Args:
        name: Of the vocabulary.
        style: The tags.
        form: What the answer must be like.
        prompt: How the prompt ends.
        budget: Of the reasoning.
    """

    def __init__(
        self,
        name: str,
        style: ReasoningStyle,
        form: Form,
        prompt: str = "",
        budget: int | None = None,
    ) -> None:
        self.vocabulary = VOCABULARIES[name]
        self.form = form
        markers = family_named(form.family).markers[:1] if form.calls else ()
        heard = spoken_tags(style, self.vocabulary)
        if form.calls:
            heard |= control_markers(family_named(form.family), self.vocabulary)
        silent = self.vocabulary.control_ids - heard
        pieces = PieceIndex(self.vocabulary, silent)
        self._borders = Borders(style, self.vocabulary, pieces, markers, trims=form.calls)
        self._prompt = prompt
        texts = (style.open, style.close, *style.preludes, *markers)
        self._openings = tuple(each.encode() for each in (style.open, *style.preludes))
        self._liked = [each.encode() for each in texts]
        ends = self.vocabulary.end_ids
        self._ending = Ending(
            ends, silent | ends, None, 0, bitmask_without(ends, self.vocabulary.size)
        )
        self.constraint = form.constraint(name)
        thinking = Thinking(self._borders.splitter(prompt), self._borders, budget)
        self.guide = ChoiceGuide(self._ending, self.vocabulary, form.constraint(name), thinking)

    def allowed(self) -> set[int]:
        mask = self.guide.mask()
        assert mask is not None
        return set_bits(mask, self.vocabulary)

    def opens(self, out: bytes) -> bool:
        """Whether an output has begun with a whole tag."""
        return out.lstrip(b" \t\r\n").startswith(self._openings)

    def begins(self, out: bytes) -> bool:
        """Whether an output may yet turn out to begin with a tag."""
        return any(each.startswith(out.lstrip(b" \t\r\n")) for each in self._openings)

    def read(
        self,
        pieces: Iterable[bytes],
        finish: FinishReason,
        *,
        parse: bool = True,
        include: bool = True,
    ) -> tuple[str, str]:
        """Reasoning and answer, as they are given for an output in these pieces."""
        splitter = self._borders.splitter(self._prompt)
        reader = Reader(self._ending, self.vocabulary, splitter, parse=parse, include=include)
        shown = self.vocabulary.byte("x")
        deltas = [reader.read(TokenStep(0, shown, piece)) for piece in pieces]
        deltas.append(reader.read(TokenStep(0, None, b"", finish=finish)))
        return "".join(each.reasoning for each in deltas), "".join(each.text for each in deltas)

    def walk(self, seed: int, most: int) -> tuple[list[bytes], FinishReason]:
        """A random output of tokens that are allowed, with a liking for tags; and how it ends."""
        draw = random.Random(seed)
        liking, out = draw.choice([0.0, 0.6, 0.95]), list[bytes]()
        for _ in range(most):
            token = self._next(draw, liking, b"".join(out))
            out.append(b"" if token in self._ending.silent_ids else self.vocabulary.piece(token))
            finish = self.guide.accept(token)
            if finish is not None:
                return out, finish
        return out, "length"

    def _next(self, draw: random.Random, liking: float, before: bytes) -> int:
        forced = self.guide.forced()
        if forced:
            return forced[0]
        choices = self.allowed()
        assert choices, f"nothing may follow {before!r}"
        rests = [
            text[length:]
            for text in self._liked
            for length in range(len(text))
            if before.endswith(text[:length])
        ]
        liked = [
            token
            for token in choices
            if any(_goes_on(rest, self.vocabulary.piece(token)) for rest in rests)
        ]
        return draw.choice(sorted(liked if liked and draw.random() < liking else choices))


def _goes_on(rest: bytes, piece: bytes) -> bool:
    return rest.startswith(piece) or piece.startswith(rest)


def holds(form: Form, name: str, answer: str) -> bool:
    """Whether a finished answer is what it must be, judged without what went before."""
    if not form.calls:
        constraint = form.constraint(name)
        tokens = constraint.spelt(answer.encode())
        if not constraint.takes(tokens):
            return False
        for token in tokens:
            constraint.accept(token)
        return constraint.satisfied
    parser = family_named(form.family).parser(TOOLS)
    events = [*parser.feed(answer), *parser.finish()]
    begun = [each for each in events if isinstance(each, CallBegin)]
    ended = [each for each in events if isinstance(each, CallEnd)]
    texts = "".join(each.text for each in events if isinstance(each, Text))
    if len(begun) != len(ended) or (form.required and (texts.strip() or not ended)):
        return False
    arguments = [
        "".join(
            each.fragment
            for each in events
            if isinstance(each, CallArguments) and each.index == call.index
        )
        for call in begun
    ]
    return all(json.loads(each) in ({}, {"a": 1}, {"a": 2}) for each in arguments)


STYLED = [NAMED["think"], NAMED["magistral"], NAMED["granite"], NAMED["harmony"], ANGLES, BARS]
Case: TypeAlias = tuple[str, ReasoningStyle, Form, str, int | None]
cases: st.SearchStrategy[Case] = st.tuples(
    st.sampled_from(sorted(VOCABULARIES)),
    st.sampled_from(STYLED),
    st.sampled_from(FORMS),
    st.sampled_from(["", "", "open", "close"]),
    st.one_of(st.none(), st.integers(1, 6)),
)


def made(case: Case) -> Choice:
    name, style, form, begun, budget = case
    prompt = {"": "", "open": style.open + "\n", "close": style.close}[begun]
    return Choice(name, style, form, prompt, budget)


@settings(max_examples=400, deadline=None)
@given(cases, st.integers(0, 10**6), st.integers(1, 60))
def test_the_answer_is_what_it_must_be_whatever_the_reasoning(
    case: Case, seed: int, most: int
) -> None:
    choice = made(case)
    out, finish = choice.walk(seed, most)
    _, answer = choice.read(out, finish)
    if finish == "stop":
        assert holds(case[2], case[0], answer), (out, answer)
    else:
        assert len(out) == most, f"nothing more was possible after {out}"


@settings(max_examples=200, deadline=None)
@given(cases, st.integers(0, 10**6), st.integers(1, 60), st.randoms(use_true_random=False))
def test_the_answer_is_the_same_however_it_is_asked_for_and_cut(
    case: Case, seed: int, most: int, draw: random.Random
) -> None:
    choice = made(case)
    out, finish = choice.walk(seed, most)
    whole = b"".join(out)
    reasoning, answer = choice.read(out, finish)
    cuts = sorted(draw.randint(0, len(whole)) for _ in range(8))
    chopped = [whole[a:b] for a, b in itertools.pairwise([0, *cuts, len(whole)])]
    assert choice.read(chopped, finish) == (reasoning, answer)
    assert choice.read(out, finish, include=False) == ("", answer)
    _, unparsed = choice.read(out, finish, parse=False)
    assert unparsed == codecs.getincrementaldecoder("utf-8")("replace").decode(whole)
    assert unparsed.endswith(answer)
    assert reasoning in unparsed


models = pytest.mark.parametrize("name", sorted(VOCABULARIES))
styles = pytest.mark.parametrize("style", STYLED, ids=lambda style: style.name)


@models
@styles
@pytest.mark.parametrize("special", [True, False])
def test_reasoning_may_come_before_any_answer(
    name: str, style: ReasoningStyle, special: bool
) -> None:
    vocabulary = VOCABULARIES[name]
    for form in FORMS:
        choice = Choice(name, style, form)
        for text in (style.open, "hm", style.close):
            for token in vocabulary.tokenize(text, special):
                assert token in choice.allowed(), (form, text)
                assert choice.guide.accept(token) is None
        assert np.array_equal(choice.guide.mask(), choice.constraint.mask())
        assert choice.guide.forced() == choice.constraint.forced()


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(VOCABULARIES)),
    st.sampled_from(STYLED),
    st.sampled_from(FORMS),
    st.integers(0, 10**6),
)
def test_any_answer_may_come_without_reasoning(
    name: str, style: ReasoningStyle, form: Form, seed: int
) -> None:
    choice, draw, out = Choice(name, style, form), random.Random(seed), b""
    for _ in range(30):
        either, may_end = choice.allowed(), choice.constraint.satisfied
        alone = set_bits(choice.constraint.mask(), choice.vocabulary)
        assert bool(either & choice.vocabulary.end_ids) == may_end
        opens = {token for token in alone if choice.opens(out + choice.vocabulary.piece(token))}
        assert alone - opens <= either
        going_on = sorted(alone - opens - choice.vocabulary.end_ids)
        if not going_on:
            return
        token = draw.choice(going_on)
        out += choice.vocabulary.piece(token)
        finished = choice.constraint.accept(token)
        assert choice.guide.accept(token) == (
            "stop" if finished and not choice.begins(out) else None
        )
        if finished:
            return


@pytest.mark.parametrize(
    ("source", "text", "opened"),
    [
        ("{{ messages[0].content }}", "say <think>", False),
        ("{{ messages[0].content }}<think>\n", "say <think>", True),
        ("{{ messages[0].content }}", "say", False),
    ],
)
def test_only_the_template_opens_the_reasoning_of_a_request(
    source: str, text: str, opened: bool
) -> None:
    # The first template speaks of no tags, so it is told of them in a comment.
    model = ChatModel(VOCABULARIES["bytes"], source + "{# <think> #}")
    wire = DedicatedChatCompletionBody.model_validate(
        {
            "model": "m",
            "messages": [{"role": "user", "content": text}],
            "response_format": {"type": "regex", "schema": "[0-9]"},
        }
    )
    guide = model.accept(wire).request.choices[0].guide
    mask = guide.mask()
    assert mask is not None
    free = VOCABULARIES["bytes"].byte("x") in set_bits(mask, VOCABULARIES["bytes"])
    assert free == opened
