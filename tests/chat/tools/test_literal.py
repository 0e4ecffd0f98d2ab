"""Python literals as JSON; other text becomes a string."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.chat.tools.literal import as_json, compact, is_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("'it\\'s'", "it's"),
        ("'a\\n\\x41\\u00e9\\U0001f600'", "a\nA\u00e9\U0001f600"),
        ("[True, False, None,]", [True, False, None]),
        ("(1, 'a')", [1, "a"]),
        ("{'a': {'b': (1,)}}", {"a": {"b": [1]}}),
        ('{"a": null}', {"a": None}),
        ("f(1)", "f(1)"),
        ("NaN", "NaN"),
        ("1e999x", "1e999x"),
        ("", ""),
        ("'\\d'", "\\d"),
        ("'\\ud800'", "\\ud800"),
        ("'\\U00110000'", "\\U00110000"),
        ("'a\\\nb'", "ab"),
        ("'True, None'", "True, None"),
        ('"a" "b"', '"a" "b"'),
        ("()", []),
        ("{1, 2}", "{1, 2}"),
        ("[1, 2", "[1, 2"),
        ("[1 2]", "[1 2]"),
        ("__import__('os')", "__import__('os')"),
    ],
)
def test_literals_are_converted_to_json(text: str, value: Any) -> None:
    assert json.loads(as_json(text)) == value


@given(st.text())
def test_any_text_becomes_valid_json(text: str) -> None:
    json.loads(as_json(text))


SCALARS = st.none() | st.booleans() | st.integers() | st.text()
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@given(PLAIN)
def test_json_and_repr_of_a_value_give_the_same_json(value: Any) -> None:
    assert json.loads(as_json(json.dumps(value))) == value
    assert json.loads(as_json(repr(value))) == value


@pytest.mark.parametrize("text", ["1", "-0.5e3", "null", ' {"a": [1, true]} ', '"\\u0061"'])
def test_is_json_is_true_for_json(text: str) -> None:
    assert is_json(text)


@pytest.mark.parametrize(
    "text", ["", "NaN", "-Infinity", "True", "[1,]", "'a'", "1 2", '"a', "[" * 200_000]
)
def test_is_json_is_false_for_other_text(text: str) -> None:
    assert not is_json(text)


def test_long_numbers_are_unchanged() -> None:
    digits = "9" * 10_000
    assert as_json(f"[{digits}]") == f"[{digits}]"


@pytest.mark.parametrize(
    ("text", "short"),
    [
        (' { "a" : [ 1 ,\n\t2 ] } ', '{"a":[1,2]}'),
        ('"a  b"', '"a  b"'),
        ('{"a \\" b": " \\\\"}', '{"a \\" b":" \\\\"}'),
    ],
)
def test_compact_removes_white_space_only_between_tokens(text: str, short: str) -> None:
    assert compact(text) == short
