"""Compiled rules: sharing, caching, and the guides made from them."""

import dataclasses
import gc
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.decoding.guide import ChoiceGuide
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.reasoning.styles import STYLES
from friendli_endpoint.chat.reasoning.tag_masks import TagMasks
from friendli_endpoint.chat.structured import MatcherCompiler
from friendli_endpoint.chat.structured.native import ConstraintError
from friendli_endpoint.generation import DecodingRules, Grammar, TokenFindings
from tests.support.chat import set_bits
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary()
COMPILER = RuleCompiler(VOCABULARY)
ENDS = (0, 2)
FREE = DecodingRules(ENDS)
THINK = STYLES[0]


def constrained_to(pattern: str, **more: Any) -> DecodingRules:
    return DecodingRules(ENDS, grammar=Grammar("regex", pattern), **more)


def deep_copy(rules: DecodingRules) -> DecodingRules:
    """Returns equal rules that share no object with the original."""
    grammar = rules.grammar and Grammar(rules.grammar.kind, "".join(list(rules.grammar.text)))
    return dataclasses.replace(rules, grammar=grammar)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The text of each grammar that is compiled from now on."""
    texts: list[str] = []
    compile_grammar = MatcherCompiler._compile

    def counted(self: MatcherCompiler, grammar: Grammar, max_symbols: int) -> Any:
        texts.append(grammar.text)
        return compile_grammar(self, grammar, max_symbols)

    monkeypatch.setattr(MatcherCompiler, "_compile", counted)
    return texts


def test_equal_rules_that_are_in_use_are_compiled_once(compiled: list[str]) -> None:
    compiler = RuleCompiler(VOCABULARY)
    rules = constrained_to("[0-9]{2}", stop=("a",), reasoning=THINK.rule("", budget=3))
    held = compiler.compile(rules)
    assert compiler.compile(deep_copy(rules)) is held
    for _ in range(3):
        compiler.guide(deep_copy(rules))
    assert compiled == ["[0-9]{2}"]


def test_different_rules_with_the_same_grammar_compile_it_once(
    compiled: list[str],
) -> None:
    compiler = RuleCompiler(VOCABULARY)
    first = compiler.compile(constrained_to("[0-9]{2}"))
    for rules in (
        constrained_to("[0-9]{2}", stop=("a",)),
        constrained_to("[0-9]{2}", min_tokens=1),
        constrained_to("[0-9]{2}", visible_ids=(3,)),
        constrained_to("[0-9]{2}", reasoning=THINK.rule()),
    ):
        assert compiler.compile(rules) is not first
    assert compiled == ["[0-9]{2}"]
    compiler.compile(constrained_to("[0-9]{3}"))
    assert compiled == ["[0-9]{2}", "[0-9]{3}"]


def test_a_grammar_in_use_is_never_evicted(compiled: list[str]) -> None:
    compiler = RuleCompiler(VOCABULARY)
    rules = constrained_to("used")
    held = compiler.compile(rules)
    for number in range(300):
        compiler.guide(constrained_to(f"other{number}"))
    assert compiled.count("used") == 1
    compiler.guide(deep_copy(rules))
    assert compiler.compile(rules) is held
    assert compiled.count("used") == 1


def test_an_unused_grammar_is_evicted_after_many_others(compiled: list[str]) -> None:
    compiler = RuleCompiler(VOCABULARY)
    rules = constrained_to("unused")
    assert rules.grammar is not None
    held = compiler.compile(rules)
    del held
    gc.collect()
    compiler.guide(rules)
    assert compiled == ["unused"]
    for number in range(128):
        compiler.guide(constrained_to(f"other{number}"))
    assert rules.grammar not in compiler.matchers
    compiler.guide(rules)
    assert compiled.count("unused") == 2


def test_a_grammar_that_cannot_be_compiled_raises_each_time() -> None:
    compiler = RuleCompiler(VOCABULARY)
    for _ in range(2):
        with pytest.raises(ConstraintError):
            compiler.compile(constrained_to("("))


def test_tag_masks_are_cached_by_tags_and_suppressed_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    created: list[frozenset[int]] = []
    init = TagMasks.__init__

    def counted(self: TagMasks, rule: Any, vocabulary: Any, index: Any, suppressed: Any) -> None:
        created.append(suppressed)
        init(self, rule, vocabulary, index, suppressed)

    monkeypatch.setattr(TagMasks, "__init__", counted)
    compiler = RuleCompiler(VOCABULARY)
    for prompt in ("", THINK.open, THINK.close):
        for budget in (None, 1, 2):
            rule = THINK.rule(prompt, budget=budget)
            compiler.guide(DecodingRules(ENDS, reasoning=rule))
            assert compiler.tag_masks(rule, ()) is compiler.tag_masks(THINK.rule(), ())
    assert created == [VOCABULARY.control_ids]
    compiler.tag_masks(THINK.rule(), (3,))
    compiler.tag_masks(THINK.rule(trims=False), ())
    compiler.tag_masks(THINK.rule(interruptions=("<tool_call>",)), ())
    assert created[1:] == [VOCABULARY.control_ids - {3}, *[VOCABULARY.control_ids] * 2]


def test_many_threads_compile_and_guide_concurrently() -> None:
    compiler = RuleCompiler(VOCABULARY)

    def work(seed: int) -> list[TokenFindings]:
        found: list[TokenFindings] = []
        for number in range(12):
            rules = constrained_to(f"a{{{number + 1}}}b?", reasoning=THINK.rule("", budget=2))
            found += random_walk(compiler.guide(rules), random.Random(number))
        return found

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert all(found == results[0] for found in results)


LIKELY = [VOCABULARY.byte(character) for character in "<think>/1 a\n"]


def allowed(guide: ChoiceGuide) -> set[int]:
    mask = guide.mask()
    return set(range(VOCABULARY.size)) if mask is None else set_bits(mask, VOCABULARY)


def advance(guide: ChoiceGuide, draw: random.Random) -> TokenFindings:
    """Accepts one allowed token, chosen at random."""
    fast_forward = guide.fast_forward_tokens()
    choices = allowed(guide)
    likely = sorted(choices.intersection(LIKELY)) if draw.random() < 0.8 else []
    if not choices:
        return guide.exhausted()
    return guide.accept(
        fast_forward[0] if fast_forward else draw.choice(likely or sorted(choices)), False
    )


def random_walk(
    guide: ChoiceGuide, draw: random.Random, max_tokens: int = 30
) -> list[TokenFindings]:
    """Returns the findings on a random walk."""
    found: list[TokenFindings] = []
    while len(found) < max_tokens and (not found or found[-1].finish is None):
        found.append(advance(guide, draw))
    return found


RULES = st.builds(
    DecodingRules,
    st.sampled_from([(0, 2), (2,), (VOCABULARY.byte("a"), 0)]),
    visible_ids=st.sampled_from([(), (3,), (0, 1, 2, 3)]),
    stop=st.sampled_from([(), ("1",), ("<", "th"), ("a\n",)]),
    min_tokens=st.integers(0, 3),
    grammar=st.sampled_from(
        [
            None,
            Grammar("regex", "[1a ]{1,5}"),
            Grammar("regex", "<[a-u]{1,6}>1?"),
            Grammar("json_schema", '{"type": "array", "items": {"enum": [1, "a"]}}'),
            Grammar("lark", 'start: "a" | "1" start'),
        ]
    ),
    reasoning=st.none()
    | st.builds(
        THINK.rule,
        st.sampled_from(["", THINK.open, THINK.close]),
        st.sampled_from([(), ("<a",)]),
        trims=st.booleans(),
        budget=st.none() | st.integers(1, 5),
    ),
)


@settings(max_examples=150, deadline=None)
@given(RULES, st.lists(st.integers(0, 2), max_size=40), st.integers(0, 10**6))
def test_guides_of_one_request_are_independent(
    rules: DecodingRules, order: list[int], seed: int
) -> None:
    held = COMPILER.compile(rules)
    alone = [random_walk(held.guide(), random.Random(seed + number)) for number in range(3)]
    guides = [held.guide() for _ in range(3)]
    draws = [random.Random(seed + number) for number in range(3)]
    together: list[list[TokenFindings]] = [[], [], []]
    for index in order:
        if len(together[index]) < len(alone[index]):
            together[index].append(advance(guides[index], draws[index]))
    for number in range(3):
        assert together[number] == alone[number][: len(together[number])]


def suppressed_of(rules: DecodingRules) -> set[int]:
    """Returns the tokens that add no bytes to an output."""
    compiled = COMPILER.compile(rules)
    return {
        token
        for token in range(VOCABULARY.size)
        if compiled.guide().accept(token, False).num_bytes == 0
    }


def ends_of(rules: DecodingRules) -> set[int]:
    compiled = COMPILER.compile(rules)
    return {
        token for token in range(VOCABULARY.size) if compiled.guide().accept(token, False).is_end
    }


def test_end_tokens_and_control_tokens_are_not_text() -> None:
    assert ends_of(FREE) == VOCABULARY.end_ids
    assert suppressed_of(FREE) == VOCABULARY.control_ids


def test_visible_control_tokens_are_text_unless_they_are_end_tokens() -> None:
    assert suppressed_of(DecodingRules(ENDS, visible_ids=(2, 3))) == {0, 1, 2}


def test_end_tokens_that_replace_those_of_the_model_are_not_text() -> None:
    rules = DecodingRules((0, 10), visible_ids=(2,))
    assert ends_of(rules) == {0, 10}
    assert suppressed_of(rules) == {0, 1, 3, 10}


def test_min_tokens_masks_only_the_end_tokens() -> None:
    mask = COMPILER.guide(DecodingRules((10, 40), min_tokens=1)).mask()
    assert mask is not None
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    assert np.flatnonzero(bits == 0).tolist() == [10, 40]
    assert COMPILER.guide(FREE).mask() is None


@pytest.mark.parametrize("stop", [("ab",), ("x", "ab")])
def test_stop_strings_end_a_choice_after_min_tokens(stop: tuple[str, ...]) -> None:
    ids = [VOCABULARY.byte(character) for character in "abab"]
    for min_tokens, length in ((0, 2), (1, 2), (2, 4), (3, 4)):
        guide = COMPILER.guide(DecodingRules(ENDS, stop=stop, min_tokens=min_tokens))
        finishes = [guide.accept(token, False).finish for token in ids[:length]]
        assert finishes == [None] * (length - 1) + ["stop"]


def test_tags_are_text_without_a_reasoning_rule() -> None:
    guide = COMPILER.guide(DecodingRules(ENDS))
    text = b""
    for token in VOCABULARY.tokenize("<think>a</think>", False):
        text += b"".join(span.text for span in guide.accept(token, False).spans)
    assert text == b"<think>a</think>"


def test_reasoning_is_marked_and_limited_by_its_budget() -> None:
    guide = COMPILER.guide(DecodingRules(ENDS, reasoning=THINK.rule(THINK.open, budget=1)))
    (span,) = guide.accept(VOCABULARY.byte("a"), False).spans
    assert (span.reasoning, span.text) == (True, b"a")
    assert VOCABULARY.text(guide.fast_forward_tokens()) == THINK.close
