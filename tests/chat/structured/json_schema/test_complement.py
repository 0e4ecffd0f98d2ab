"""Schemas whose complement a grammar cannot express are rejected."""

import json
import re

import pytest

from tests.chat.structured.json_schema.helpers import error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"not": {"multipleOf": 2}}, "s.not.multipleOf"),
        ({"if": {"format": "date"}, "then": {}}, "s.if.format"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


@pytest.mark.parametrize(
    "pattern",
    ["^a", "a", "b$", "^ab$", "^a|b$", "[|]", r"a\|b", r"^\d{3}$", "^[^a]", "x(?:y|z)$", "^(?!a)b"],
)
def test_strings_that_do_not_match_a_pattern_are_those_of_its_complement(pattern: str) -> None:
    schema = {"type": "string", "not": {"pattern": pattern}}
    for text in ("", "a", "b", "ab", "ba", "aab", "|", "a|b", "123", "1234", "xy", "xyz", "é"):
        found = allows_text(COMPILER.json_schema(schema, ENDS, "s"), json.dumps(text))
        assert found != bool(re.search(pattern, text)) or not text.isascii(), text


def test_branches_of_one_of_may_differ_in_a_pattern() -> None:
    schema = {"type": "string", "oneOf": [{"enum": ["a", "re:b"]}, {"pattern": "^re:"}]}
    allowed = [
        text
        for text in ('"a"', '"re:b"', '"re:c"', '"b"')
        if allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)
    ]
    assert allowed == ['"a"', '"re:c"']
