"""Reading position in a pattern: only reading advances it."""

import re

import pytest

from friendli_endpoint.chat.structured.regex.cursor import Cursor


def test_next_reads_one_character_and_stops_at_the_end() -> None:
    cursor = Cursor("a🙂")
    assert [cursor.next(), cursor.next()] == ["a", "🙂"]
    assert cursor.at_end and cursor.position == 2
    assert cursor.next() == "" and cursor.position == 2


def test_an_empty_text_is_at_its_end() -> None:
    cursor = Cursor("")
    assert cursor.at_end and not cursor.startswith("a") and not cursor.skip("a")


@pytest.mark.parametrize(
    ("prefixes", "found"), [(("b",), True), (("x", "bc"), True), (("a",), False), (("bcd",), False)]
)
def test_startswith_does_not_advance(prefixes: tuple[str, ...], found: bool) -> None:
    cursor = Cursor("abc")
    cursor.next()
    assert cursor.startswith(*prefixes) == found
    assert cursor.position == 1


def test_skip_reads_only_a_prefix_of_the_rest() -> None:
    cursor = Cursor("abab")
    assert not cursor.skip("b") and cursor.position == 0
    assert cursor.skip("ab") and cursor.position == 2
    assert cursor.skip("ab") and cursor.at_end


def test_match_reads_a_match_at_the_position() -> None:
    cursor, digits = Cursor("a12b3"), re.compile(r"\d+")
    assert cursor.match(digits) is None and cursor.position == 0
    cursor.next()
    found = cursor.match(digits)
    assert found is not None and found[0] == "12"
    assert cursor.position == 3 and cursor.startswith("b3")


def test_match_may_be_empty() -> None:
    cursor = Cursor("a")
    found = cursor.match(re.compile("b*"))
    assert found is not None and found[0] == ""
    assert cursor.position == 0
