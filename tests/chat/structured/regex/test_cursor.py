"""A place in a pattern moves on by what is read, and by nothing else."""

import re

import pytest

from friendli_endpoint.chat.structured.regex.cursor import Cursor


def test_characters_are_read_one_by_one_up_to_the_end() -> None:
    cursor = Cursor("a🙂")
    assert [cursor.next(), cursor.next()] == ["a", "🙂"]
    assert cursor.ended and cursor.at == 2
    assert cursor.next() == "" and cursor.at == 2


def test_an_empty_text_has_ended() -> None:
    cursor = Cursor("")
    assert cursor.ended and not cursor.sees("a") and not cursor.took("a")


@pytest.mark.parametrize(
    ("signs", "seen"), [(("b",), True), (("x", "bc"), True), (("a",), False), (("bcd",), False)]
)
def test_seeing_reads_nothing(signs: tuple[str, ...], seen: bool) -> None:
    cursor = Cursor("abc")
    cursor.next()
    assert cursor.sees(*signs) == seen
    assert cursor.at == 1


def test_only_what_comes_next_is_taken() -> None:
    cursor = Cursor("abab")
    assert not cursor.took("b") and cursor.at == 0
    assert cursor.took("ab") and cursor.at == 2
    assert cursor.took("ab") and cursor.ended


def test_an_expression_is_matched_where_the_cursor_is() -> None:
    cursor, digits = Cursor("a12b3"), re.compile(r"\d+")
    assert cursor.took_match(digits) is None and cursor.at == 0
    cursor.next()
    found = cursor.took_match(digits)
    assert found is not None and found[0] == "12"
    assert cursor.at == 3 and cursor.sees("b3")


def test_an_expression_may_match_nothing() -> None:
    cursor = Cursor("a")
    found = cursor.took_match(re.compile("b*"))
    assert found is not None and found[0] == ""
    assert cursor.at == 0
