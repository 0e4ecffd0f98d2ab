"""Constrained answers after optional reasoning, tested on random outputs."""

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

from friendli_endpoint.chat.conversation import ChatModel
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.output.reader import Reader
from friendli_endpoint.chat.reasoning.styles import STYLES, ReasoningStyle, tag_ids
from friendli_endpoint.chat.structured import Constraint
from friendli_endpoint.chat.tools import (
    CallArguments,
    CallBegin,
    CallEnd,
    CallText,
    ToolSpec,
    family_named,
)
from friendli_endpoint.chat.tools.toolbox import control_markers, marker_of
from friendli_endpoint.generation import FinishReason
from tests.support.chat import (
    ChoiceReader,
    ConstraintMaker,
    OpenVocabulary,
    body_of,
    choice_guide,
    criteria_of,
    set_bits,
    tag_masks_of,
)

NAMED = {style.name: style for style in STYLES}
ANGLES = ReasoningStyle("angles", "<", ">")
BARS = ReasoningStyle("bars", "<|a|>", "<|/a|>", preludes=("<|b|>",))
"""Short tags, which random outputs often contain, complete or in part."""


class Spanning(OpenVocabulary):
    """A vocabulary with extra tokens, some of which span the end of a tag."""

    def __init__(self, *texts: str, control: tuple[str, ...] = ()) -> None:
        control_texts = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|tool|>")
        super().__init__(context=4096)
        self._texts = [*(text.encode() for text in control_texts), *self._texts[4:]]
        self._texts += [text.encode() for text in (*control, *texts)]
        self.control_ids |= set(range(self.size, self.size + len(control)))
        self._ids = {text: token for token, text in enumerate(self._texts)}
        self._max_length = max(map(len, self._texts))
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
        control=(
            *("<think>", "</think>", "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<|a|>"),
            *("<|b|>", "<|/b|>", "<|START_THINKING|>", "<|END_THINKING|>"),
            *("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
        ),
    ),
}
MODELS = {name: ConstraintMaker(vocabulary) for name, vocabulary in VOCABULARIES.items()}

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
    """The required form of an answer: a pattern, a schema, or calls."""

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
    *(Form(regex=pattern) for pattern in REGEXES),
    *(Form(schema=index) for index in range(len(SCHEMAS))),
    *(Form(family=family, required=required) for family in FAMILIES for required in (True, False)),
]


class Choice:
    """One choice of a request: its guide, and a reader of its output.

    Args:
        name: Name of the vocabulary.
        style: The tags.
        form: Required form of the answer.
        prompt: End of the prompt.
        budget: Budget of the reasoning.
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
        visible = tag_ids(style, self.vocabulary)
        if form.calls:
            visible |= control_markers(family_named(form.family), self.vocabulary)
        suppressed = self.vocabulary.control_ids - visible
        self._rule = style.rule(prompt, markers, trims=form.calls, budget=budget)
        tag_masks = tag_masks_of(self._rule, self.vocabulary, suppressed)
        texts = (*style.tags, *markers)
        opens = (style.open, *style.other_opens, *style.preludes)
        self._openings = tuple(text.encode() for text in opens)
        self._preferred = [text.encode() for text in texts]
        self._criteria = criteria_of(
            self.vocabulary, suppressed=suppressed | self.vocabulary.end_ids
        )
        self.constraint = form.constraint(name)
        self.guide = choice_guide(
            self._criteria, self.vocabulary, self._rule, tag_masks, form.constraint(name)
        )

    def allowed(self) -> set[int]:
        mask = self.guide.mask()
        assert mask is not None
        return set_bits(mask, self.vocabulary)

    def opens(self, out: bytes) -> bool:
        """Whether an output begins with a complete tag."""
        return out.lstrip(b" \t\r\n").startswith(self._openings)

    def begins(self, out: bytes) -> bool:
        """Whether an output may be the beginning of a tag."""
        return any(tag.startswith(out.lstrip(b" \t\r\n")) for tag in self._openings)

    def read(
        self,
        chunks: Iterable[bytes],
        finish: FinishReason,
        *,
        parse: bool = True,
        include: bool = True,
    ) -> tuple[str, str]:
        """Returns reasoning and answer of an output in these chunks."""
        free = choice_guide(self._criteria, self.vocabulary, self._rule)
        reader = ChoiceReader(free, Reader(self.vocabulary, parse=parse, include=include))
        reader.read(map(self.vocabulary.token_of, chunks))
        reader.end(finish)
        return reader.reasoning, reader.text

    def walk(self, seed: int, max_tokens: int) -> tuple[list[bytes], FinishReason]:
        """Returns a random output of allowed tokens, which prefers tags, and its finish reason."""
        draw = random.Random(seed)
        preference, out = draw.choice([0.0, 0.6, 0.95]), list[bytes]()
        for _ in range(max_tokens):
            token = self._next(draw, preference, b"".join(out))
            out.append(
                b""
                if token in self._criteria.suppressed_ids
                else self.vocabulary.token_bytes(token)
            )
            finish = self.guide.accept(token, False).finish
            if finish is not None:
                return out, finish
        return out, "length"

    def _next(self, draw: random.Random, preference: float, before: bytes) -> int:
        fast_forward = self.guide.fast_forward_tokens()
        if fast_forward:
            return fast_forward[0]
        choices = self.allowed()
        assert choices, f"no token is allowed after {before!r}"
        rests = [
            text[length:]
            for text in self._preferred
            for length in range(len(text))
            if before.endswith(text[:length])
        ]
        preferred = [
            token
            for token in choices
            if any(_overlaps(rest, self.vocabulary.token_bytes(token)) for rest in rests)
        ]
        return draw.choice(
            sorted(preferred if preferred and draw.random() < preference else choices)
        )


def _overlaps(rest: bytes, data: bytes) -> bool:
    return rest.startswith(data) or data.startswith(rest)


def holds(form: Form, name: str, answer: str) -> bool:
    """Whether a finished answer has its required form, judged without the reasoning."""
    if not form.calls:
        constraint = form.constraint(name)
        tokens = constraint.tokenize(answer.encode())
        if not constraint.allows(tokens):
            return False
        for token in tokens:
            constraint.accept(token)
        return constraint.satisfied
    parser = family_named(form.family).parser(TOOLS)
    events = [*parser.feed(answer), *parser.finish()]
    started = [event for event in events if isinstance(event, CallBegin)]
    ended = [event for event in events if isinstance(event, CallEnd)]
    texts = "".join(event.text for event in events if isinstance(event, CallText))
    if len(started) != len(ended) or (form.required and (texts.strip() or not ended)):
        return False
    arguments = [
        "".join(
            event.fragment
            for event in events
            if isinstance(event, CallArguments) and event.index == call.index
        )
        for call in started
    ]
    return all(json.loads(text) in ({}, {"a": 1}, {"a": 2}) for text in arguments)


WRAPPED = ReasoningStyle(
    "wrapped", "<|a|>", "<|/a|>", preludes=("<|b|>",), answer_open="<|b|>", answer_close="<|/b|>"
)
STYLED = [
    *(NAMED[name] for name in ("think", "magistral", "granite", "harmony", "think_response")),
    *(NAMED["command"], ANGLES, BARS, WRAPPED),
]
Case: TypeAlias = tuple[str, ReasoningStyle, Form, str, int | None]
cases: st.SearchStrategy[Case] = st.tuples(
    st.sampled_from(sorted(VOCABULARIES)),
    st.sampled_from(STYLED),
    st.sampled_from(FORMS),
    st.sampled_from(["", "", "open", "close"]),
    st.one_of(st.none(), st.integers(1, 6)),
)


def choice_of(case: Case) -> Choice:
    name, style, form, prompt_end, budget = case
    prompt = {"": "", "open": style.open + "\n", "close": style.close}[prompt_end]
    return Choice(name, style, form, prompt, budget)


@settings(max_examples=400, deadline=None)
@given(cases, st.integers(0, 10**6), st.integers(1, 60))
def test_a_finished_answer_has_its_required_form_with_any_reasoning(
    case: Case, seed: int, max_tokens: int
) -> None:
    choice = choice_of(case)
    out, finish = choice.walk(seed, max_tokens)
    _, answer = choice.read(out, finish)
    if finish == "stop":
        assert holds(case[2], case[0], answer), (out, answer)
    else:
        assert len(out) == max_tokens, f"no token was allowed after {out}"


@settings(max_examples=200, deadline=None)
@given(cases, st.integers(0, 10**6), st.integers(1, 60), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_reasoning_options_and_chunking(
    case: Case, seed: int, max_tokens: int, draw: random.Random
) -> None:
    choice = choice_of(case)
    out, finish = choice.walk(seed, max_tokens)
    whole = b"".join(out)
    reasoning, answer = choice.read(out, finish)
    cuts = sorted(draw.randint(0, len(whole)) for _ in range(8))
    chunks = [whole[a:b] for a, b in itertools.pairwise([0, *cuts, len(whole)])]
    assert choice.read(chunks, finish) == (reasoning, answer)
    assert choice.read(out, finish, include=False) == ("", answer)
    _, unparsed = choice.read(out, finish, parse=False)
    assert unparsed == codecs.getincrementaldecoder("utf-8")("replace").decode(whole)
    assert reasoning in unparsed
    assert _is_part(answer, unparsed) if case[1].answer_close else unparsed.endswith(answer)


def _is_part(text: str, whole: str) -> bool:
    """Whether a text without some of its tags is in another one, in order."""
    rest = iter(whole)
    return all(character in rest for character in text)


@pytest.mark.parametrize("form", [form for form in FORMS if form.calls and not form.required])
def test_a_control_token_may_close_an_answer_and_only_an_end_or_a_call_follows(form: Form) -> None:
    vocabulary = VOCABULARIES["control"]
    choice = Choice("control", WRAPPED, form)
    closing = vocabulary.token("<|/b|>")
    for token in vocabulary.tokenize("<|b|>Hi", True):
        assert token in choice.allowed()
        choice.guide.accept(token, False)
    assert closing in choice.allowed()
    assert choice.guide.accept(closing, False).finish is None
    assert choice.allowed() <= vocabulary.control_ids | vocabulary.end_ids
    assert vocabulary.end_ids <= choice.allowed()
    assert choice.guide.accept(min(vocabulary.end_ids), False).finish == "stop"
    out = [b"<|b|>", b"Hi", b"<|/b|>"]
    assert choice.read(out, "stop") == ("", "Hi")


def test_a_control_token_does_not_close_an_answer_in_a_response_format() -> None:
    vocabulary = VOCABULARIES["control"]
    choice = Choice("control", WRAPPED, Form(regex="4|45"))
    for token in vocabulary.tokenize("<|b|>4", True):
        assert token in choice.allowed()
        choice.guide.accept(token, False)
    assert vocabulary.token("<|/b|>") not in choice.allowed()


models = pytest.mark.parametrize("name", sorted(VOCABULARIES))
styles = pytest.mark.parametrize("style", STYLED, ids=lambda style: style.name)


@pytest.mark.exhaustive
@models
@styles
@pytest.mark.parametrize("special", [True, False])
def test_reasoning_may_precede_any_constrained_answer(
    name: str, style: ReasoningStyle, special: bool
) -> None:
    vocabulary = VOCABULARIES[name]
    for form in FORMS:
        choice = Choice(name, style, form)
        for text in (style.open, "hm", style.close):
            for token in vocabulary.tokenize(text, special):
                assert token in choice.allowed(), (form, text)
                assert choice.guide.accept(token, False).finish is None
        mask = choice.guide.mask()
        assert mask is not None
        expected = choice.constraint.mask()
        if style.answer_open:  # a tag may come first
            opening = vocabulary.tokenize(style.answer_open, special)
            assert opening[0] in choice.allowed()
            for token in set_bits(expected, vocabulary) - choice.allowed():
                assert vocabulary.token_bytes(token).startswith(style.answer_open.encode())
            continue
        assert np.array_equal(mask, expected)
        assert choice.guide.fast_forward_tokens() == choice.constraint.fast_forward_tokens()


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(VOCABULARIES)),
    st.sampled_from(STYLED),
    st.sampled_from(FORMS),
    st.integers(0, 10**6),
)
def test_any_constrained_answer_may_come_without_reasoning(
    name: str, style: ReasoningStyle, form: Form, seed: int
) -> None:
    choice, draw, out = Choice(name, style, form), random.Random(seed), b""
    for _ in range(30):
        combined, may_end = choice.allowed(), choice.constraint.satisfied
        alone = set_bits(choice.constraint.mask(), choice.vocabulary)
        assert bool(combined & choice.vocabulary.end_ids) == may_end
        opens = {
            token for token in alone if choice.opens(out + choice.vocabulary.token_bytes(token))
        }
        assert alone - opens <= combined
        continuing = sorted(alone - opens - choice.vocabulary.end_ids)
        if not continuing:
            return
        token = draw.choice(continuing)
        out += choice.vocabulary.token_bytes(token)
        finished = choice.constraint.accept(token)
        assert choice.guide.accept(token, False).finish == (
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
def test_only_a_tag_written_by_the_template_opens_the_reasoning(
    source: str, text: str, opened: bool
) -> None:
    # The comment makes each template one with reasoning.
    vocabulary = VOCABULARIES["bytes"]
    rules = RuleCompiler(vocabulary)
    model = ChatModel(rules, source + "{# <think> #}", vocabulary.context)
    body = body_of(
        messages=[{"role": "user", "content": text}],
        response_format={"type": "regex", "schema": "[0-9]"},
    )
    mask = rules.guide(model.prepare(body).request.rules).mask()
    assert mask is not None
    free = vocabulary.byte("x") in set_bits(mask, vocabulary)
    assert free == opened
