"""Tokens by what they do to the items of an array."""

import pytest

from friendli_endpoint.chat.structured.unique_masks import UniqueMasks
from tests.chat.structured.test_unique_items import _LargerVocabulary
from tests.support.chat import set_bits

TEXTS = (
    *(b'",', b'", ', b'","', b'""', b"1,", b"12", b"true", b"true,", b"[]", b'["', b'."', b'."}'),
    *(b'"}', b'"}]', b"}, ", b"},{", b" }", b"}}", b"] ]", b"e1", b"1e", b" ]", b"ab"),
)
VOCABULARY = _LargerVocabulary(*TEXTS)
MASKS = UniqueMasks(VOCABULARY)


def _excluded(mask: object) -> set[bytes]:
    allowed = set_bits(mask, VOCABULARY)  # type: ignore[arg-type]
    return {text for text in TEXTS if VOCABULARY._ids[text] not in allowed}


def test_tokens_that_concern_two_items_are_excluded() -> None:
    assert _excluded(MASKS.separate(False)) >= {b'""', b"1,", b"true,", b"[]", b"},{"}
    assert _excluded(MASKS.separate(False)).isdisjoint({b"12", b"true", b'["', b"}, ", b"}}"})
    assert _excluded(MASKS.separate(True)) >= {b'","', b'."}'}
    assert _excluded(MASKS.separate(True)).isdisjoint({b'",', b'", ', b'."', b'"}', b'"}]', b"1,"})


@pytest.mark.parametrize(
    ("in_string", "depth", "excluded"),
    [
        (True, 0, {b'",', b'", ', b'"}', b'"}]'}),
        (True, 1, {b'"}', b'"}]'}),
        (True, 2, {b'"}]'}),
        (False, 1, {b"}, ", b" }", b"}}", b"] ]", b" ]"}),
        (False, 2, {b"}}", b"] ]"}),
    ],
)
def test_tokens_that_end_a_value_are_excluded(
    in_string: bool, depth: int, excluded: set[bytes]
) -> None:
    found = _excluded(MASKS.closing(in_string, depth))
    assert found - {b'","', b'""', b"},{"} == excluded


def test_tokens_with_an_exponent_are_excluded() -> None:
    assert _excluded(MASKS.without_exponent()) == {b"e1", b"1e"}


def test_tokens_with_a_comma_after_an_item_are_excluded() -> None:
    assert _excluded(MASKS.ending(True, False)) == {b'",', b'", ', b'","'}
    assert _excluded(MASKS.ending(False, True)) == {b"}, ", b"},{"}


def test_white_space_outside_strings_is_left_out() -> None:
    token = VOCABULARY._ids[b'", ']
    assert MASKS.canonical(token, True, False) == b'",'
    assert MASKS.canonical(token, True, True) == b'", '
    assert MASKS.canonical(token, False, False) == b'", '


def test_tokens_along_a_text_are_its_beginnings_and_those_that_end_it() -> None:
    found = {VOCABULARY.token_bytes(token) for token in MASKS.along(b'."}', 1, 2)}
    assert found == {b".", b'."', b'."}'}
