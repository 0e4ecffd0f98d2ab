"""Tag masks, with tokens that continue past the end of a tag."""

import pytest

from friendli_endpoint.chat.decoding.answer_constraint import AnswerConstraint
from friendli_endpoint.chat.decoding.interpreter import OutputInterpreter
from friendli_endpoint.chat.decoding.reasoning_state import ReasoningState
from friendli_endpoint.chat.reasoning.splitter import ReasoningSplitter
from friendli_endpoint.chat.reasoning.styles import STYLES, ReasoningStyle
from friendli_endpoint.chat.tokens import bitmask_without
from tests.support.chat import ConstraintMaker, criteria_of, set_bits, tag_masks_of
from tests.support.scripted import ScriptedVocabulary

STYLE = STYLES[0]
RULE = STYLE.rule()


class Wide(ScriptedVocabulary):
    """A vocabulary with tokens that continue past the end of a tag."""

    def __init__(self) -> None:
        super().__init__()
        self._texts += [
            b">{",
            b"> \n",
            b">\v",
            b"</think>x",
            b"<think>x",
            b"think>4",
            b"<think></think>4",
        ]
        self._ids = {text: token for token, text in enumerate(self._texts)}
        self.size = len(self._texts)


WIDE = Wide()


def excluded(output: str, trims: bool) -> set[int]:
    """Returns the tokens that may not follow an output in the reasoning."""
    rule = STYLE.rule(trims=trims)
    splitter = ReasoningSplitter(rule)
    splitter.feed(output.encode())
    closing = tag_masks_of(rule, WIDE).closing(splitter.partial_tag)
    return set(range(WIDE.size)) - set_bits(closing.mask, WIDE)


@pytest.mark.parametrize(
    ("output", "trimmed", "exact"),
    [
        ("<think>a", ["</think>x", "<think></think>4"], []),
        ("<think>a</think", [">{", ">\v", "</think>x", "<think></think>4"], ["> \n"]),
        ("<think>a</t", ["</think>x", "<think></think>4"], []),
        ("<think>a<", ["</think>x", "<think></think>4"], []),
    ],
)
def test_tokens_with_bytes_of_the_answer_may_not_end_the_reasoning(
    output: str, trimmed: list[str], exact: list[str]
) -> None:
    assert excluded(output, trims=True) == {*map(WIDE.token, trimmed)}
    assert excluded(output, trims=False) == {*map(WIDE.token, [*trimmed, *exact])}


def test_tokens_that_open_the_tag_may_continue_with_reasoning_but_not_with_the_answer() -> None:
    tag_masks = tag_masks_of(RULE, WIDE)
    for partial_tag, continuing in ((b"", "<think>x"), (b"<", "think>4")):
        opening = tag_masks.opening(partial_tag)
        for text in (continuing, "<think></think>4"):
            assert (WIDE.token(text) in set_bits(opening.tag, WIDE)) == (text == continuing)


def test_a_token_with_a_whole_block_and_an_answer_is_excluded() -> None:
    tag_masks = tag_masks_of(RULE, WIDE)
    constraint = ConstraintMaker(WIDE).regex("(<think></think>)?4", WIDE.end_ids, "r")
    splitter = ReasoningSplitter(RULE)
    interpreter = OutputInterpreter(criteria_of(WIDE), WIDE, splitter)
    reasoning_state = ReasoningState(splitter, interpreter, tag_masks, None)
    answer = AnswerConstraint(
        constraint, reasoning_state, WIDE, bitmask_without(WIDE.end_ids, WIDE.size)
    )
    assert WIDE.token("<") in set_bits(answer.mask(), WIDE)
    assert WIDE.token("<think></think>4") not in set_bits(answer.mask(), WIDE)


def test_suppressed_tokens_are_not_part_of_tags() -> None:
    end, begin = WIDE.token("<|im_end|>"), WIDE.token("<|im_start|>")
    style = ReasoningStyle("control", "<|im_start|>", "<|im_end|>")
    for suppressed in (WIDE.control_ids, frozenset({end}), frozenset({begin}), frozenset()):
        tag_masks = tag_masks_of(style.rule(interruptions=("<|im_start|>",)), WIDE, suppressed)
        tag_tokens = set_bits(tag_masks.opening(b"").tag, WIDE)
        assert (begin in tag_tokens) == (begin not in suppressed)
        interrupting = [token for token, _ in tag_masks.closing(b"").interrupting]
        assert interrupting == ([] if begin in suppressed else [begin])


def test_close_is_the_tokens_of_the_close_tag() -> None:
    assert WIDE.text(tag_masks_of(RULE, WIDE).close) == "</think>"
    style = ReasoningStyle("control", "<|im_start|>", "<|im_end|>")
    assert tag_masks_of(style.rule(), WIDE).close == (WIDE.token("<|im_end|>"),)
