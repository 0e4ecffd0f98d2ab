"""The tag_masks of reasoning and answer, in tokens that do not end where tags do."""

import pytest

from friendli_endpoint.chat.decoding.answer_constraint import AnswerConstraint
from friendli_endpoint.chat.decoding.interpreter import OutputInterpreter
from friendli_endpoint.chat.decoding.reasoning_state import ReasoningState
from friendli_endpoint.chat.reasoning.splitter import Splitter
from friendli_endpoint.chat.reasoning.styles import STYLES, ReasoningStyle
from friendli_endpoint.chat.tokens import bitmask_without
from tests.support.chat import ConstraintMaker, borders_of, criteria_of, set_bits
from tests.support.scripted import ScriptedVocabulary

STYLE = STYLES[0]
RULE = STYLE.rule()


class Wide(ScriptedVocabulary):
    """Some tokens go on after the end of a tag."""

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


def wide(output: str, trims: bool) -> set[int]:
    """Tokens that may not follow an output, before an answer."""
    rule = STYLE.rule(trims=trims)
    splitter = Splitter(rule)
    splitter.feed(output.encode())
    closing = borders_of(rule, WIDE).closing(splitter.begun)
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
def test_tokens_that_would_begin_the_answer_may_not_end_the_reasoning(
    output: str, trimmed: list[str], exact: list[str]
) -> None:
    assert wide(output, trims=True) == {*map(WIDE.token, trimmed)}
    assert wide(output, trims=False) == {*map(WIDE.token, [*trimmed, *exact])}


def test_tokens_that_open_the_tag_may_go_on_with_the_reasoning() -> None:
    tag_masks = borders_of(RULE, WIDE)
    for begun, fitting in ((b"", "<think>x"), (b"<", "think>4")):
        opening = tag_masks.opening(begun)
        for text in (fitting, "<think></think>4"):
            assert (WIDE.token(text) in set_bits(opening.fitting, WIDE)) == (text == fitting)


def test_a_token_that_opens_and_closes_the_tag_does_not_take_the_answer_away() -> None:
    tag_masks = borders_of(RULE, WIDE)
    constraint = ConstraintMaker(WIDE).regex("(<think></think>)?4", WIDE.end_ids, "r")
    splitter = Splitter(RULE)
    interpreter = OutputInterpreter(criteria_of(WIDE), WIDE, splitter)
    thinking = ReasoningState(splitter, interpreter, tag_masks, None)
    answer = AnswerConstraint(constraint, thinking, WIDE, bitmask_without(WIDE.end_ids, WIDE.size))
    assert WIDE.token("<") in set_bits(answer.mask(), WIDE)
    assert WIDE.token("<think></think>4") not in set_bits(answer.mask(), WIDE)


def test_tokens_that_are_not_text_write_no_tag() -> None:
    end, begin = WIDE.token("<|im_end|>"), WIDE.token("<|im_start|>")
    style = ReasoningStyle("control", "<|im_start|>", "<|im_end|>")
    for silent in (WIDE.control_ids, frozenset({end}), frozenset({begin}), frozenset()):
        tag_masks = borders_of(style.rule(interruptions=("<|im_start|>",)), WIDE, silent)
        fitting = set_bits(tag_masks.opening(b"").fitting, WIDE)
        assert (begin in fitting) == (begin not in silent)
        interrupting = [token for token, _ in tag_masks.closing(b"").interrupting]
        assert interrupting == ([] if begin in silent else [begin])


def test_a_close_tag_is_forced_in_its_own_tokens() -> None:
    assert WIDE.text(borders_of(RULE, WIDE).close) == "</think>"
    style = ReasoningStyle("control", "<|im_start|>", "<|im_end|>")
    assert borders_of(style.rule(), WIDE).close == (WIDE.token("<|im_end|>"),)
