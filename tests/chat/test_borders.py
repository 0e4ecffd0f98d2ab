"""The borders of reasoning and answer, in tokens that do not end where tags do."""

import numpy as np
import pytest

from friendli_endpoint.chat.decoding.after_thinking import AfterThinking
from friendli_endpoint.chat.decoding.thinking import Thinking
from friendli_endpoint.chat.reasoning.borders import Borders, spoken_tags
from friendli_endpoint.chat.reasoning.splitter import STYLES
from friendli_endpoint.chat.structured import ConstraintCompiler
from friendli_endpoint.chat.tokens import Bitmask, PieceIndex, bitmask_of, bitmask_without
from tests.support.scripted import ScriptedVocabulary

STYLE = STYLES[0]


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


def set_bits(mask: Bitmask) -> set[int]:
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    return set(np.flatnonzero(bits[: WIDE.size]).tolist())


def wide(output: str, trims: bool) -> set[int]:
    """Tokens that may not follow an output, before an answer."""
    borders = Borders(STYLE, WIDE, PieceIndex(WIDE, WIDE.control_ids), trims=trims)
    splitter = borders.splitter("")
    splitter.feed(output.encode())
    return set(range(WIDE.size)) - set_bits(borders.closing(splitter.begun).mask)


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
    borders = Borders(STYLE, WIDE, PieceIndex(WIDE, WIDE.control_ids))
    for begun, fitting in ((b"", "<think>x"), (b"<", "think>4")):
        opening = borders.opening(begun)
        for text in (fitting, "<think></think>4"):
            assert (WIDE.token(text) in set_bits(opening.fitting)) == (text == fitting)


def test_a_token_that_opens_and_closes_the_tag_does_not_take_the_answer_away() -> None:
    borders = Borders(STYLE, WIDE, PieceIndex(WIDE, WIDE.control_ids))
    compiler = ConstraintCompiler(WIDE)
    constraint = compiler.regex("(<think></think>)?4", WIDE.end_ids, "r")
    thinking = Thinking(borders.splitter(""), borders, None)
    answer = AfterThinking(constraint, thinking, WIDE, bitmask_without(WIDE.end_ids, WIDE.size))
    assert WIDE.token("<") in set_bits(answer.mask())
    assert WIDE.token("<think></think>4") not in set_bits(answer.mask())


def test_tokens_are_found_by_their_bytes() -> None:
    pieces = PieceIndex(WIDE, WIDE.control_ids)
    texts = [WIDE.piece(token) for token in range(WIDE.size)]
    for text in (b"<", b"think>", b"the", b"th", b"<|im_end|>"):
        for found, expected in (
            (pieces.beyond(text), [each for each in texts[4:] if each.startswith(text)]),
            (pieces.around(text), [each for each in texts[4:] if text in each]),
            (pieces.within(text), [e for e in texts[4:] if text.startswith(e) and e != text]),
        ):
            pairs = list(found)
            assert sorted(piece for piece, _ in pairs) == sorted(expected)
            assert all(WIDE.piece(token) == piece for piece, token in pairs)


def test_control_tokens_of_tags_are_spoken() -> None:
    class Tagged(ScriptedVocabulary):
        def piece(self, token_id: int) -> bytes:
            return b"<think>" if token_id == 3 else super().piece(token_id)

    assert spoken_tags(STYLE, Tagged()) == {3}
    assert spoken_tags(STYLE, WIDE) == frozenset()


def test_a_mask_without_tokens_has_a_bit_for_each_of_the_others() -> None:
    mask = bitmask_without([0, 31, 32, 70], 71)
    assert mask.shape == (3,)
    assert not np.any(mask & bitmask_of([0, 31, 32, 70], 71))
    assert [t for t in range(71) if not mask[t // 32] >> (t % 32) & 1] == [0, 31, 32, 70]
