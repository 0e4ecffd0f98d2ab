"""Compiled rules: shared by those who use them, dropped when nobody does, and what they say."""

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


def held_to(pattern: str, **more: Any) -> DecodingRules:
    return DecodingRules(ENDS, grammar=Grammar("regex", pattern), **more)


def copied(rules: DecodingRules) -> DecodingRules:
    """Equal rules with no object in common."""
    grammar = rules.grammar and Grammar(rules.grammar.kind, "".join(list(rules.grammar.text)))
    return dataclasses.replace(rules, grammar=grammar)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The text of each grammar that is compiled from here on."""
    texts: list[str] = []
    compile_grammar = MatcherCompiler._compile

    def counted(self: MatcherCompiler, grammar: Grammar) -> Any:
        texts.append(grammar.text)
        return compile_grammar(self, grammar)

    monkeypatch.setattr(MatcherCompiler, "_compile", counted)
    return texts


def test_equal_rules_that_are_in_use_are_compiled_once(compiled: list[str]) -> None:
    compiler = RuleCompiler(VOCABULARY)
    rules = held_to("[0-9]{2}", stop=("a",), reasoning=THINK.rule("", budget=3))
    held = compiler.compile(rules)
    assert compiler.compile(copied(rules)) is held
    for _ in range(3):
        compiler.guide(copied(rules))
    assert compiled == ["[0-9]{2}"]


def test_rules_that_differ_are_compiled_apart_and_share_what_is_the_same(
    compiled: list[str],
) -> None:
    compiler = RuleCompiler(VOCABULARY)
    first = compiler.compile(held_to("[0-9]{2}"))
    for other in (
        held_to("[0-9]{2}", stop=("a",)),
        held_to("[0-9]{2}", min_tokens=1),
        held_to("[0-9]{2}", visible_ids=(3,)),
        held_to("[0-9]{2}", reasoning=THINK.rule()),
    ):
        assert compiler.compile(other) is not first
    assert compiled == ["[0-9]{2}"]
    compiler.compile(held_to("[0-9]{3}"))
    assert compiled == ["[0-9]{2}", "[0-9]{3}"]


def test_a_grammar_in_use_survives_any_number_of_others(compiled: list[str]) -> None:
    compiler = RuleCompiler(VOCABULARY)
    rules = held_to("used")
    held = compiler.compile(rules)
    for number in range(300):
        compiler.guide(held_to(f"other{number}"))
    assert compiled.count("used") == 1
    compiler.guide(copied(rules))
    assert compiler.compile(rules) is held
    assert compiled.count("used") == 1


def test_a_grammar_that_nobody_uses_is_dropped_after_many_others(compiled: list[str]) -> None:
    compiler = RuleCompiler(VOCABULARY)
    rules = held_to("unused")
    assert rules.grammar is not None
    held = compiler.compile(rules)
    del held
    gc.collect()
    compiler.guide(rules)
    assert compiled == ["unused"]
    for number in range(128):
        compiler.guide(held_to(f"other{number}"))
    assert rules.grammar not in compiler.matchers
    compiler.guide(rules)
    assert compiled.count("unused") == 2


def test_a_grammar_that_cannot_be_compiled_is_an_error_each_time() -> None:
    compiler = RuleCompiler(VOCABULARY)
    for _ in range(2):
        with pytest.raises(ConstraintError):
            compiler.compile(held_to("("))


def test_borders_are_made_once_for_tags_and_silent_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[frozenset[int]] = []
    init = TagMasks.__init__

    def counted(self: TagMasks, rule: Any, vocabulary: Any, pieces: Any, silent: Any) -> None:
        made.append(silent)
        init(self, rule, vocabulary, pieces, silent)

    monkeypatch.setattr(TagMasks, "__init__", counted)
    compiler = RuleCompiler(VOCABULARY)
    for prompt in ("", THINK.open, THINK.close):
        for budget in (None, 1, 2):
            rule = THINK.rule(prompt, budget=budget)
            compiler.guide(DecodingRules(ENDS, reasoning=rule))
            assert compiler.tag_masks(rule, ()) is compiler.tag_masks(THINK.rule(), ())
    assert made == [VOCABULARY.control_ids]
    compiler.tag_masks(THINK.rule(), (3,))
    compiler.tag_masks(THINK.rule(trims=False), ())
    compiler.tag_masks(THINK.rule(interruptions=("<tool_call>",)), ())
    assert made[1:] == [VOCABULARY.control_ids - {3}, *[VOCABULARY.control_ids] * 2]


def test_many_threads_compile_and_guide_at_once() -> None:
    compiler = RuleCompiler(VOCABULARY)

    def work(seed: int) -> list[TokenFindings]:
        found: list[TokenFindings] = []
        for number in range(12):
            rules = held_to(f"a{{{number + 1}}}b?", reasoning=THINK.rule("", budget=2))
            found += walked(compiler.guide(rules), random.Random(number))
        return found

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert all(found == results[0] for found in results)


LIKELY = [VOCABULARY.byte(character) for character in "<think>/1 a\n"]


def allowed(guide: ChoiceGuide) -> set[int]:
    mask = guide.mask()
    return set(range(VOCABULARY.size)) if mask is None else set_bits(mask, VOCABULARY)


def advance(guide: ChoiceGuide, draw: random.Random) -> TokenFindings:
    """One more token, of those that may come."""
    forced = guide.fast_forward_tokens()
    choices = allowed(guide)
    likely = sorted(choices.intersection(LIKELY)) if draw.random() < 0.8 else []
    if not choices:
        return guide.exhausted()
    return guide.accept(forced[0] if forced else draw.choice(likely or sorted(choices)), False)


def walked(guide: ChoiceGuide, draw: random.Random, most: int = 30) -> list[TokenFindings]:
    """What is found on a random walk."""
    found: list[TokenFindings] = []
    while len(found) < most and (not found or found[-1].finish is None):
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
    rules: DecodingRules, turns: list[int], seed: int
) -> None:
    held = COMPILER.compile(rules)
    alone = [walked(held.guide(), random.Random(seed + number)) for number in range(3)]
    guides = [held.guide() for _ in range(3)]
    draws = [random.Random(seed + number) for number in range(3)]
    together: list[list[TokenFindings]] = [[], [], []]
    for turn in turns:
        if len(together[turn]) < len(alone[turn]):
            together[turn].append(advance(guides[turn], draws[turn]))
    for number in range(3):
        assert together[number] == alone[number][: len(together[number])]


def silent_of(rules: DecodingRules) -> set[int]:
    """The tokens that add nothing to an output."""
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


def test_ends_and_control_tokens_are_not_text() -> None:
    assert ends_of(FREE) == VOCABULARY.end_ids
    assert silent_of(FREE) == VOCABULARY.control_ids


def test_control_tokens_that_are_visible_are_read_unless_they_end() -> None:
    assert silent_of(DecodingRules(ENDS, visible_ids=(2, 3))) == {0, 1, 2}


def test_ends_that_replace_the_models_own_are_not_text() -> None:
    rules = DecodingRules((0, 10), visible_ids=(2,))
    assert ends_of(rules) == {0, 10}
    assert silent_of(rules) == {0, 1, 3, 10}


def test_every_token_but_the_ends_is_left_for_min_tokens() -> None:
    mask = COMPILER.guide(DecodingRules((10, 40), min_tokens=1)).mask()
    assert mask is not None
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    assert np.flatnonzero(bits == 0).tolist() == [10, 40]
    assert COMPILER.guide(FREE).mask() is None


@pytest.mark.parametrize("stop", [("ab",), ("x", "ab")])
def test_stops_end_a_choice_after_min_tokens(stop: tuple[str, ...]) -> None:
    ids = [VOCABULARY.byte(character) for character in "abab"]
    for min_tokens, length in ((0, 2), (1, 2), (2, 4), (3, 4)):
        guide = COMPILER.guide(DecodingRules(ENDS, stop=stop, min_tokens=min_tokens))
        finishes = [guide.accept(token, False).finish for token in ids[:length]]
        assert finishes == [None] * (length - 1) + ["stop"]


def test_without_reasoning_tags_are_text() -> None:
    guide = COMPILER.guide(DecodingRules(ENDS))
    text = b""
    for token in VOCABULARY.tokenize("<think>a</think>", False):
        text += b"".join(span.text for span in guide.accept(token, False).spans)
    assert text == b"<think>a</think>"


def test_reasoning_is_told_apart_and_its_budget_kept() -> None:
    guide = COMPILER.guide(DecodingRules(ENDS, reasoning=THINK.rule(THINK.open, budget=1)))
    (span,) = guide.accept(VOCABULARY.byte("a"), False).spans
    assert (span.reasoning, span.text) == (True, b"a")
    assert VOCABULARY.text(guide.fast_forward_tokens()) == THINK.close
