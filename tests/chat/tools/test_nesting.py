"""Nesting of brackets and strings; brackets in strings do not count."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.chat.tools.nesting import Nesting


def after(text: str, quotes: str = '"') -> Nesting:
    nesting = Nesting(quotes)
    for character in text:
        nesting.feed(character)
    return nesting


@pytest.mark.parametrize("text", ["", "a1,:", "()", "{[()]}", '"a"', '"}"', r'"\""', r'"\\"', "'"])
def test_inside_is_false_when_everything_is_closed(text: str) -> None:
    assert not after(text).inside


@pytest.mark.parametrize("text", ["(", "{[()]", '"', '"a}', r'"\"', r'"\\\"', '["]"'])
def test_inside_is_true_while_a_bracket_or_a_string_is_open(text: str) -> None:
    assert after(text).inside


def test_only_the_quote_that_opened_a_string_closes_it() -> None:
    assert after("'\"(", "\"'").inside
    assert not after("'\"('", "\"'").inside
    assert not after('"\'("', "\"'").inside


VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='ab"\\{}[]()é'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='a"\\}'), inner),
    max_leaves=8,
)


@given(st.lists(VALUES) | st.dictionaries(st.text(alphabet='a"\\}'), VALUES))
def test_json_is_inside_from_its_first_character_to_its_last(value: Any) -> None:
    nesting, text = Nesting(), json.dumps(value)
    for character in text[:-1]:
        nesting.feed(character)
        assert nesting.inside
    nesting.feed(text[-1])
    assert not nesting.inside
