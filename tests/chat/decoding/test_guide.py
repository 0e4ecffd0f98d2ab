"""The guide of a choice: stop criteria, reasoning, and constrained answers."""

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
    choice_guide,
    criteria_of,
    set_bits,
    tag_masks_of,
)
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary()
COMPILER = ConstraintMaker(VOCABULARY)
STYLE = STYLES[0]
CALLS = ("<tool_call>",)
TAG_MASKS = tag_masks_of(STYLE.rule("", CALLS), VOCABULARY)
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
    """Returns a guide; without a prompt, of a model without reasoning."""
    suppressed = VOCABULARY.control_ids if ends is None else ends
    criteria = criteria_of(
        VOCABULARY, *stops, min_tokens=min_tokens, ends=ends, suppressed=suppressed
    )
    rule = None if prompt is None else STYLE.rule(prompt, CALLS, budget=budget)
    return choice_guide(criteria, VOCABULARY, rule, TAG_MASKS, constraint)


def digits() -> Constraint:
    return COMPILER.regex("[0-9]{2}", VOCABULARY.end_ids, "r")


def byte_ids(text: str) -> list[int]:
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
    """Accepts a token that may be followed by others; returns the finish reason, if any."""
    return choice.accept(token, False).finish


def exhausted_after(choice: ChoiceGuide, output: str) -> FinishReason | None:
    """Returns the finish reason of a choice if no token is allowed after an output."""
    assert feed(choice, byte_ids(output)) is None
    return choice.exhausted().finish


def fast_forward(choice: ChoiceGuide) -> str:
    """Accepts the fast-forward tokens; returns their text."""
    ids = list(choice.fast_forward_tokens())
    assert feed(choice, ids) is None
    return VOCABULARY.text(ids)


DIGITS = set(byte_ids("0123456789"))


@pytest.mark.parametrize("end", sorted(VOCABULARY.end_ids))
@pytest.mark.parametrize("prompt", [None, "", OPENED])
def test_an_end_token_ends_the_choice(end: int, prompt: str | None) -> None:
    choice = guide(prompt=prompt)
    assert feed(choice, byte_ids("hm")) is None
    assert accept(choice, end) == "stop"


@pytest.mark.parametrize("prompt", [None, "", OPENED])
def test_end_tokens_are_masked_until_min_tokens(prompt: str | None) -> None:
    choice = guide(prompt=prompt, min_tokens=2)
    for token in byte_ids("ab"):
        assert allowed(choice) == set(range(VOCABULARY.size)) - VOCABULARY.end_ids
        assert accept(choice, token) is None
    assert choice.mask() is None


def test_a_stop_counts_only_after_min_tokens() -> None:
    assert feed(guide("ab", min_tokens=2, prompt=None), byte_ids("ab")) is None
    assert feed(guide("ab", min_tokens=1, prompt=None), byte_ids("ab")) == "stop"


def test_a_suppressed_token_does_not_interrupt_a_stop() -> None:
    ids = [*byte_ids("a"), VOCABULARY.token("<|tool|>"), *byte_ids("b")]
    assert feed(guide("ab", prompt=None), ids) == "stop"


def test_stop_strings_are_ignored_in_reasoning() -> None:
    choice = guide("STOP", prompt=OPENED)
    assert feed(choice, byte_ids("a STOP</think>b")) is None
    assert feed(choice, byte_ids("STOP")) == "stop"


@pytest.mark.parametrize("budget", [1, 2, 5])
def test_the_close_tag_follows_when_the_budget_is_spent(budget: int) -> None:
    choice = guide(budget=budget)
    for token in byte_ids("abcde"[:budget]):
        assert not choice.fast_forward_tokens()
        assert accept(choice, token) is None
    assert fast_forward(choice) == "</think>"
    assert not choice.fast_forward_tokens()


def test_the_rest_of_the_close_tag_follows_token_by_token() -> None:
    choice = guide(budget=1)
    accept(choice, VOCABULARY.byte("a"))
    rest = list(choice.fast_forward_tokens())
    while rest:
        assert accept(choice, rest[0]) is None
        rest = rest[1:]
        assert list(choice.fast_forward_tokens()) == rest


def test_an_open_tag_written_by_the_model_does_not_count_against_the_budget() -> None:
    choice = guide(prompt="", budget=2)
    assert feed(choice, byte_ids("<think>ab")) is None
    assert fast_forward(choice) == "</think>"


def test_reasoning_within_its_budget_is_not_closed() -> None:
    choice = guide(budget=20)
    assert feed(choice, byte_ids("a</think>")) is None
    assert feed(choice, byte_ids("an answer that is longer than the budget was")) is None
    assert not choice.fast_forward_tokens()


def test_an_answer_without_reasoning_has_no_budget() -> None:
    choice = guide(prompt="", budget=1)
    assert feed(choice, byte_ids("hello")) is None
    assert not choice.fast_forward_tokens()


def test_end_tokens_are_masked_in_reasoning_before_a_constrained_answer() -> None:
    choice = guide(constraint=digits())
    assert not allowed(choice) & VOCABULARY.end_ids
    assert DIGITS | set(byte_ids("abc</think>")) <= allowed(choice)


def test_the_constraint_applies_from_the_end_of_the_reasoning() -> None:
    choice, output = guide(constraint=digits()), "12 letters, 345</think>"
    assert feed(choice, byte_ids(output)) is None
    assert allowed(choice) == DIGITS
    assert feed(choice, byte_ids("4")) is None
    assert exhausted_after(guide(constraint=digits()), f"{output}4") == "length"
    assert accept(choice, VOCABULARY.byte("2")) == "stop"
    assert choice.exhausted().finish == "stop"


def test_the_constraint_applies_after_a_spent_budget() -> None:
    choice = guide(constraint=digits(), budget=1)
    accept(choice, VOCABULARY.byte("a"))
    assert fast_forward(choice) == "</think>"
    assert allowed(choice) == DIGITS


def test_a_tag_or_a_constrained_answer_may_begin_the_output() -> None:
    choice = guide(prompt="", constraint=digits())
    assert allowed(choice) == {*DIGITS, VOCABULARY.byte("<")}
    assert feed(choice, byte_ids("<")) is None
    assert allowed(choice) == {VOCABULARY.byte("t")}
    assert feed(choice, byte_ids("think>hm</think>")) is None
    assert allowed(choice) == DIGITS
    assert feed(choice, byte_ids("42")) == "stop"


def test_a_constrained_answer_may_begin_without_reasoning() -> None:
    choice = guide(prompt="", constraint=digits(), budget=1)
    assert feed(choice, byte_ids("4")) is None
    assert allowed(choice) == DIGITS
    assert not choice.fast_forward_tokens()
    assert feed(choice, byte_ids("2")) == "stop"


def test_the_constraint_applies_at_once_if_the_prompt_closes_the_reasoning() -> None:
    choice = guide(prompt="<think>\n\n</think>\n\n", constraint=digits())
    assert allowed(choice) == DIGITS


def test_the_constraint_applies_at_once_without_reasoning() -> None:
    choice = guide(prompt=None, constraint=digits())
    assert allowed(choice) == DIGITS
    assert feed(choice, byte_ids("42")) == "stop"


def test_fast_forward_tokens_of_a_constraint_follow_the_reasoning() -> None:
    choice = guide(constraint=COMPILER.regex("xyz[0-9]", VOCABULARY.end_ids, "r"))
    assert not choice.fast_forward_tokens()
    assert feed(choice, byte_ids("a</think>")) is None
    assert VOCABULARY.text(choice.fast_forward_tokens()) == "xyz"


def test_a_call_marker_ends_the_reasoning_and_is_part_of_the_constrained_answer() -> None:
    choice = guide(constraint=COMPILER.regex("<tool_call>[0-9]", VOCABULARY.end_ids, "r"))
    assert feed(choice, byte_ids("I call <tool_call>")) is None
    assert allowed(choice) == DIGITS
    assert accept(choice, VOCABULARY.byte("1")) == "stop"


def regex(pattern: str) -> Constraint:
    return COMPILER.regex(pattern, VOCABULARY.end_ids, "r")


def test_an_answer_that_begins_like_a_tag_stays_an_answer() -> None:
    choice = guide(prompt="", constraint=regex("<[a-u]{2}>"), budget=1)
    assert allowed(choice) == {VOCABULARY.byte("<")}
    assert accept(choice, VOCABULARY.byte("<")) is None
    assert not choice.fast_forward_tokens()
    assert allowed(choice) == set(byte_ids("abcdefghijklmnopqrstu"))
    assert feed(choice, byte_ids("ti")) is None
    assert VOCABULARY.text(choice.fast_forward_tokens()) == ">"
    assert accept(choice, VOCABULARY.byte(">")) == "stop"


def test_a_tag_that_begins_like_an_answer_stays_a_tag() -> None:
    choice = guide(prompt="", constraint=regex("<[a-u]{2}>"))
    assert feed(choice, byte_ids("<th")) is None
    assert allowed(choice) == set(byte_ids("i>"))
    assert feed(choice, byte_ids("ink>hm</think>")) is None
    assert feed(choice, byte_ids("<th>")) == "stop"


def test_a_tag_does_not_log_a_failed_constraint(caplog: pytest.LogCaptureFixture) -> None:
    choice = guide(prompt="", constraint=digits())
    assert feed(choice, byte_ids("<think>a</think>42")) == "stop"
    assert not caplog.records


def test_a_tag_does_not_begin_with_a_token_that_ends_the_choice() -> None:
    ends = frozenset({VOCABULARY.byte("<")})
    choice = guide(prompt="", constraint=COMPILER.regex("[0-9]{2}", ends, "r"), ends=ends)
    assert allowed(choice) == DIGITS


def test_a_complete_tag_is_not_an_answer() -> None:
    choice = guide(prompt="", constraint=regex("<think>[0-9]?"))
    assert feed(choice, byte_ids("<think>")) is None
    unfinished = guide(prompt="", constraint=regex("<think>[0-9]?"))
    assert exhausted_after(unfinished, "<think>") == "length"
    assert not allowed(choice) & VOCABULARY.end_ids
    assert feed(choice, byte_ids("4</think><think>5")) == "stop"


def test_an_answer_may_end_where_a_tag_could_continue() -> None:
    choice = guide(prompt="", constraint=regex("<"))
    assert accept(choice, VOCABULARY.byte("<")) is None
    assert allowed(choice) == VOCABULARY.end_ids | {VOCABULARY.byte("t")}
    assert exhausted_after(guide(prompt="", constraint=regex("<")), "<") == "stop"
    assert accept(choice, END) == "stop"


@pytest.mark.parametrize("output", ["", "<", "<think>a", "<think>a</think>"])
def test_a_choice_without_an_answer_finishes_with_length(output: str) -> None:
    assert exhausted_after(guide(prompt="", constraint=digits()), output) == "length"


def test_a_stop_that_may_begin_a_tag_counts_once_the_tag_is_ruled_out() -> None:
    choice = guide("<", prompt="")
    assert accept(choice, VOCABULARY.byte("<")) is None
    assert accept(choice, VOCABULARY.byte("b")) == "stop"
    choice = guide("<", prompt="")
    assert feed(choice, byte_ids("<think>a</think>b")) is None


def test_the_token_that_completes_a_stop_decides_whether_it_counts() -> None:
    choice = guide("<", prompt="", min_tokens=1)
    assert feed(choice, byte_ids("<b")) is None
    assert feed(choice, byte_ids("<")) == "stop"


def test_the_constraint_applies_after_a_prelude() -> None:
    style = next(style for style in STYLES if style.preludes)
    rule = style.rule()
    tag_masks = tag_masks_of(rule, VOCABULARY)
    for prelude in style.preludes:
        choice = choice_guide(criteria_of(VOCABULARY), VOCABULARY, rule, tag_masks, digits())
        for token in byte_ids(prelude):
            assert token in allowed(choice)
            assert accept(choice, token) is None
        assert allowed(choice) == DIGITS


def test_a_call_marker_that_the_constraint_rejects_is_masked_in_the_reasoning() -> None:
    for pattern, is_allowed in (("<tool_call>[0-9]", True), ("[0-9]", False)):
        choice = guide(constraint=regex(pattern))
        assert feed(choice, byte_ids("I call <tool_call")) is None
        assert (VOCABULARY.byte(">") in allowed(choice)) == is_allowed


PARTS = st.sampled_from(["<think>", "</think>", "\n", "hm", "é", "<", "the", "STOP", "ST", "OP"])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(PARTS, min_size=1, max_size=8).map("".join),
    st.sampled_from([None, "", OPENED]),
    st.sampled_from([("STOP",), ("hm", "STOP"), ("TO", "\nh")]),
    st.integers(0, 4),
)
def test_the_guide_ends_the_choice_where_the_text_is_cut(
    output: str, prompt: str | None, stops: tuple[str, ...], min_tokens: int
) -> None:
    choice = guide(*stops, prompt=prompt, min_tokens=min_tokens)
    reader = ChoiceReader(choice, Reader(VOCABULARY))
    reader.read(VOCABULARY.tokenize(output, False))
    full = reader.text
    if reader.finish == "stop":
        assert choice.exhausted().spans == ()
    elif min_tokens == 0:
        assert not any(stop in full for stop in stops)


@pytest.mark.parametrize("prompt", [None, "", OPENED])
def test_the_last_token_finishes_with_length_unless_a_stop_criterion_is_met(
    prompt: str | None,
) -> None:
    before = "" if prompt is None else "</think>" if prompt else "<think></think>"
    for text, finish in (("ab", "length"), ("STOP", "stop")):
        choice = guide("STOP", prompt=prompt)
        *ids, last = byte_ids(before + text)
        assert feed(choice, ids) is None
        assert choice.accept(last, True).finish == finish
    choice = guide(prompt=prompt)
    assert choice.accept(END, True).finish == "stop"


def test_held_back_bytes_are_output_with_the_last_token() -> None:
    for is_last, expected in ((False, []), (True, [b"ST"])):
        choice = guide("STOP", prompt=None)
        findings = choice.accept(VOCABULARY.token("ST"), is_last)
        assert [span.text for span in findings.spans] == expected
    choice = guide("STOP", prompt=None)
    choice.accept(VOCABULARY.token("ST"), False)
    assert [span.text for span in choice.exhausted().spans] == [b"ST"]


def test_findings_have_the_number_of_bytes_and_whether_the_token_is_an_end() -> None:
    choice = guide(prompt=None)
    findings = [
        choice.accept(VOCABULARY.token(text), False) for text in ("the", "<|tool|>", "<|im_end|>")
    ]
    assert [(found.num_bytes, found.is_end) for found in findings] == [
        (3, False),
        (0, False),
        (0, True),
    ]


def test_only_a_guide_with_a_constraint_looks_ahead() -> None:
    assert guide(constraint=digits()).looks_ahead
    assert not guide("STOP", budget=2).looks_ahead
