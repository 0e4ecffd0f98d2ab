"""The guide of a choice: ends, stops, and what comes before a constrained answer."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.decoding.guide import ChoiceGuide
from friendli_endpoint.chat.output.reader import Reader
from friendli_endpoint.chat.reasoning.styles import STYLES
from friendli_endpoint.chat.structured import Constraint
from friendli_endpoint.generation import FinishReason
from tests.support.chat import (
    ChoiceReader,
    ConstraintMaker,
    borders_of,
    choice_guide,
    criteria_of,
    set_bits,
)
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary()
COMPILER = ConstraintMaker(VOCABULARY)
STYLE = STYLES[0]
CALLS = ("<tool_call>",)
BORDERS = borders_of(STYLE.rule("", CALLS), VOCABULARY)
END = VOCABULARY.token("<|im_end|>")
OPENED = "assistant\n<think>\n"


def guide(
    *stops: str,
    min_tokens: int = 0,
    prompt: str | None = OPENED,
    budget: int | None = None,
    constraint: Constraint | None = None,
    ends: frozenset[int] | None = None,
) -> ChoiceGuide:
    """A guide; without a prompt, of a model without reasoning."""
    silent = VOCABULARY.control_ids if ends is None else ends
    criteria = criteria_of(VOCABULARY, *stops, min_tokens=min_tokens, ends=ends, silent=silent)
    rule = None if prompt is None else STYLE.rule(prompt, CALLS, budget=budget)
    return choice_guide(criteria, VOCABULARY, rule, BORDERS, constraint)


def digits() -> Constraint:
    return COMPILER.regex("[0-9]{2}", VOCABULARY.end_ids, "r")


def spelt(text: str) -> list[int]:
    return [VOCABULARY.byte(byte) for byte in text.encode()]


def allowed(choice: ChoiceGuide) -> set[int]:
    mask = choice.mask()
    assert mask is not None
    return set_bits(mask, VOCABULARY)


def feed(choice: ChoiceGuide, ids: Iterable[int]) -> FinishReason | None:
    """Accepts tokens until the choice ends, or there are no more."""
    for token in ids:
        finish = accept(choice, token)
        if finish is not None:
            return finish
    return None


def accept(choice: ChoiceGuide, token: int) -> FinishReason | None:
    """Accepts a token that may be followed by others; gives how the choice ends with it, if so."""
    return choice.accept(token, False).finish


def ended_without(choice: ChoiceGuide, output: str) -> FinishReason | None:
    """How a choice ends where nothing is allowed after an output."""
    assert feed(choice, spelt(output)) is None
    return choice.exhausted().finish


def force(choice: ChoiceGuide) -> str:
    """Accepts what is forced; gives it as text."""
    ids = list(choice.fast_forward_tokens())
    assert feed(choice, ids) is None
    return VOCABULARY.text(ids)


DIGITS = set(spelt("0123456789"))


@pytest.mark.parametrize("end", sorted(VOCABULARY.end_ids))
@pytest.mark.parametrize("prompt", [None, "", OPENED])
def test_an_end_token_ends_the_choice(end: int, prompt: str | None) -> None:
    choice = guide(prompt=prompt)
    assert feed(choice, spelt("hm")) is None
    assert accept(choice, end) == "stop"


@pytest.mark.parametrize("prompt", [None, "", OPENED])
def test_ends_are_masked_until_min_tokens_have_come(prompt: str | None) -> None:
    choice = guide(prompt=prompt, min_tokens=2)
    for token in spelt("ab"):
        assert allowed(choice) == set(range(VOCABULARY.size)) - VOCABULARY.end_ids
        assert accept(choice, token) is None
    assert choice.mask() is None


def test_a_stop_counts_only_after_min_tokens() -> None:
    assert feed(guide("ab", min_tokens=2, prompt=None), spelt("ab")) is None
    assert feed(guide("ab", min_tokens=1, prompt=None), spelt("ab")) == "stop"


def test_a_silent_token_does_not_interrupt_a_stop() -> None:
    ids = [*spelt("a"), VOCABULARY.token("<|tool|>"), *spelt("b")]
    assert feed(guide("ab", prompt=None), ids) == "stop"


def test_a_stop_is_not_searched_in_reasoning() -> None:
    choice = guide("STOP", prompt=OPENED)
    assert feed(choice, spelt("a STOP</think>b")) is None
    assert feed(choice, spelt("STOP")) == "stop"


@pytest.mark.parametrize("budget", [1, 2, 5])
def test_spent_reasoning_is_closed(budget: int) -> None:
    choice = guide(budget=budget)
    for token in spelt("abcde"[:budget]):
        assert not choice.fast_forward_tokens()
        assert accept(choice, token) is None
    assert force(choice) == "</think>"
    assert not choice.fast_forward_tokens()


def test_the_tag_is_forced_to_its_end_token_by_token() -> None:
    choice = guide(budget=1)
    accept(choice, VOCABULARY.byte("a"))
    rest = list(choice.fast_forward_tokens())
    while rest:
        assert accept(choice, rest[0]) is None
        rest = rest[1:]
        assert list(choice.fast_forward_tokens()) == rest


def test_a_tag_that_the_model_wrote_does_not_count_against_the_budget() -> None:
    choice = guide(prompt="", budget=2)
    assert feed(choice, spelt("<think>ab")) is None
    assert force(choice) == "</think>"


def test_reasoning_that_ends_in_time_is_left_alone() -> None:
    choice = guide(budget=20)
    assert feed(choice, spelt("a</think>")) is None
    assert feed(choice, spelt("an answer that is longer than the budget was")) is None
    assert not choice.fast_forward_tokens()


def test_an_answer_without_reasoning_has_no_budget() -> None:
    choice = guide(prompt="", budget=1)
    assert feed(choice, spelt("hello")) is None
    assert not choice.fast_forward_tokens()


def test_ends_are_masked_while_thinking_before_a_constraint() -> None:
    choice = guide(constraint=digits())
    assert not allowed(choice) & VOCABULARY.end_ids
    assert DIGITS | set(spelt("abc</think>")) <= allowed(choice)


def test_the_constraint_starts_where_the_reasoning_ends() -> None:
    choice, output = guide(constraint=digits()), "12 letters, 345</think>"
    assert feed(choice, spelt(output)) is None
    assert allowed(choice) == DIGITS
    assert feed(choice, spelt("4")) is None
    assert ended_without(guide(constraint=digits()), f"{output}4") == "length"
    assert accept(choice, VOCABULARY.byte("2")) == "stop"
    assert choice.exhausted().finish == "stop"


def test_the_budget_leads_to_the_constraint() -> None:
    choice = guide(constraint=digits(), budget=1)
    accept(choice, VOCABULARY.byte("a"))
    assert force(choice) == "</think>"
    assert allowed(choice) == DIGITS


def test_at_the_start_both_the_tag_and_the_constraint_may_begin() -> None:
    choice = guide(prompt="", constraint=digits())
    assert allowed(choice) == {*DIGITS, VOCABULARY.byte("<")}
    assert feed(choice, spelt("<")) is None
    assert allowed(choice) == {VOCABULARY.byte("t")}
    assert feed(choice, spelt("think>hm</think>")) is None
    assert allowed(choice) == DIGITS
    assert feed(choice, spelt("42")) == "stop"


def test_at_the_start_the_answer_may_begin_without_reasoning() -> None:
    choice = guide(prompt="", constraint=digits(), budget=1)
    assert feed(choice, spelt("4")) is None
    assert allowed(choice) == DIGITS
    assert not choice.fast_forward_tokens()
    assert feed(choice, spelt("2")) == "stop"


def test_a_closed_block_in_the_prompt_constrains_at_once() -> None:
    choice = guide(prompt="<think>\n\n</think>\n\n", constraint=digits())
    assert allowed(choice) == DIGITS


def test_without_reasoning_the_constraint_is_all_there_is() -> None:
    choice = guide(prompt=None, constraint=digits())
    assert allowed(choice) == DIGITS
    assert feed(choice, spelt("42")) == "stop"


def test_what_a_constraint_leaves_no_choice_about_is_forced_after_the_reasoning() -> None:
    choice = guide(constraint=COMPILER.regex("xyz[0-9]", VOCABULARY.end_ids, "r"))
    assert not choice.fast_forward_tokens()
    assert feed(choice, spelt("a</think>")) is None
    assert VOCABULARY.text(choice.fast_forward_tokens()) == "xyz"


def test_a_call_ends_the_reasoning_and_counts_for_the_constraint() -> None:
    choice = guide(constraint=COMPILER.regex("<tool_call>[0-9]", VOCABULARY.end_ids, "r"))
    assert feed(choice, spelt("I call <tool_call>")) is None
    assert allowed(choice) == DIGITS
    assert accept(choice, VOCABULARY.byte("1")) == "stop"


def regex(pattern: str) -> Constraint:
    return COMPILER.regex(pattern, VOCABULARY.end_ids, "r")


def test_an_answer_that_begins_like_the_tag_is_not_made_one() -> None:
    choice = guide(prompt="", constraint=regex("<[a-u]{2}>"), budget=1)
    assert allowed(choice) == {VOCABULARY.byte("<")}
    assert accept(choice, VOCABULARY.byte("<")) is None
    assert not choice.fast_forward_tokens()
    assert allowed(choice) == set(spelt("abcdefghijklmnopqrstu"))
    assert feed(choice, spelt("ti")) is None
    assert VOCABULARY.text(choice.fast_forward_tokens()) == ">"
    assert accept(choice, VOCABULARY.byte(">")) == "stop"


def test_a_tag_that_begins_like_an_answer_is_not_made_one() -> None:
    choice = guide(prompt="", constraint=regex("<[a-u]{2}>"))
    assert feed(choice, spelt("<th")) is None
    assert allowed(choice) == set(spelt("i>"))
    assert feed(choice, spelt("ink>hm</think>")) is None
    assert feed(choice, spelt("<th>")) == "stop"


def test_a_tag_is_no_failure_of_the_constraint(caplog: pytest.LogCaptureFixture) -> None:
    choice = guide(prompt="", constraint=digits())
    assert feed(choice, spelt("<think>a</think>42")) == "stop"
    assert not caplog.records


def test_a_tag_does_not_begin_with_a_token_that_ends_the_choice() -> None:
    ends = frozenset({VOCABULARY.byte("<")})
    choice = guide(prompt="", constraint=COMPILER.regex("[0-9]{2}", ends, "r"), ends=ends)
    assert allowed(choice) == DIGITS


def test_a_tag_that_is_whole_is_no_answer() -> None:
    choice = guide(prompt="", constraint=regex("<think>[0-9]?"))
    assert feed(choice, spelt("<think>")) is None
    unfinished = guide(prompt="", constraint=regex("<think>[0-9]?"))
    assert ended_without(unfinished, "<think>") == "length"
    assert not allowed(choice) & VOCABULARY.end_ids
    assert feed(choice, spelt("4</think><think>5")) == "stop"


def test_an_answer_may_end_where_a_tag_might_still_go_on() -> None:
    choice = guide(prompt="", constraint=regex("<"))
    assert accept(choice, VOCABULARY.byte("<")) is None
    assert allowed(choice) == VOCABULARY.end_ids | {VOCABULARY.byte("t")}
    assert ended_without(guide(prompt="", constraint=regex("<")), "<") == "stop"
    assert accept(choice, END) == "stop"


@pytest.mark.parametrize("output", ["", "<", "<think>a", "<think>a</think>"])
def test_no_tag_and_no_reasoning_is_an_answer(output: str) -> None:
    assert ended_without(guide(prompt="", constraint=digits()), output) == "length"


def test_a_stop_that_may_begin_a_tag_counts_when_it_is_known_to_be_none() -> None:
    choice = guide("<", prompt="")
    assert accept(choice, VOCABULARY.byte("<")) is None
    assert accept(choice, VOCABULARY.byte("b")) == "stop"
    choice = guide("<", prompt="")
    assert feed(choice, spelt("<think>a</think>b")) is None


def test_a_stop_counts_by_the_token_that_completes_it() -> None:
    choice = guide("<", prompt="", min_tokens=1)
    assert feed(choice, spelt("<b")) is None
    assert feed(choice, spelt("<")) == "stop"


def test_a_prelude_leads_to_the_constraint() -> None:
    style = next(style for style in STYLES if style.preludes)
    rule = style.rule()
    tag_masks = borders_of(rule, VOCABULARY)
    for prelude in style.preludes:
        choice = choice_guide(criteria_of(VOCABULARY), VOCABULARY, rule, tag_masks, digits())
        for token in spelt(prelude):
            assert token in allowed(choice)
            assert accept(choice, token) is None
        assert allowed(choice) == DIGITS


def test_a_marker_that_the_constraint_does_not_take_is_not_written_in_the_reasoning() -> None:
    for pattern, may in (("<tool_call>[0-9]", True), ("[0-9]", False)):
        choice = guide(constraint=regex(pattern))
        assert feed(choice, spelt("I call <tool_call")) is None
        assert (VOCABULARY.byte(">") in allowed(choice)) == may


PARTS = st.sampled_from(["<think>", "</think>", "\n", "hm", "é", "<", "the", "STOP", "ST", "OP"])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(PARTS, min_size=1, max_size=8).map("".join),
    st.sampled_from([None, "", OPENED]),
    st.sampled_from([("STOP",), ("hm", "STOP"), ("TO", "\nh")]),
    st.integers(0, 4),
)
def test_the_engine_ends_where_the_reader_cuts(
    output: str, prompt: str | None, stops: tuple[str, ...], min_tokens: int
) -> None:
    choice = guide(*stops, prompt=prompt, min_tokens=min_tokens)
    reading = ChoiceReader(choice, Reader(VOCABULARY))
    reading.read(VOCABULARY.tokenize(output, False))
    full = reading.text
    if reading.finish == "stop":
        assert choice.exhausted().spans == ()
    elif min_tokens == 0:
        assert not any(stop in full for stop in stops)


@pytest.mark.parametrize("prompt", [None, "", OPENED])
def test_the_last_token_there_is_room_for_ends_with_length_unless_something_else_ends(
    prompt: str | None,
) -> None:
    before = "" if prompt is None else "</think>" if prompt else "<think></think>"
    for text, finish in (("ab", "length"), ("STOP", "stop")):
        choice = guide("STOP", prompt=prompt)
        *ids, last = spelt(before + text)
        assert feed(choice, ids) is None
        assert choice.accept(last, True).finish == finish
    choice = guide(prompt=prompt)
    assert choice.accept(END, True).finish == "stop"


def test_what_is_held_back_comes_with_the_last_token() -> None:
    for is_last, shown in ((False, []), (True, [b"ST"])):
        choice = guide("STOP", prompt=None)
        findings = choice.accept(VOCABULARY.token("ST"), is_last)
        assert [span.text for span in findings.spans] == shown
    choice = guide("STOP", prompt=None)
    choice.accept(VOCABULARY.token("ST"), False)
    assert [span.text for span in choice.exhausted().spans] == [b"ST"]


def test_a_token_says_how_many_bytes_it_adds_and_whether_it_is_an_end() -> None:
    choice = guide(prompt=None)
    findings = [
        choice.accept(VOCABULARY.token(text), False) for text in ("the", "<|tool|>", "<|im_end|>")
    ]
    assert [(found.num_bytes, found.is_end) for found in findings] == [
        (3, False),
        (0, False),
        (0, True),
    ]


def test_only_a_constraint_looks_ahead() -> None:
    assert guide(constraint=digits()).looks_ahead
    assert not guide("STOP", budget=2).looks_ahead
