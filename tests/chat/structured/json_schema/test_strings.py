"""Strings have the lengths and patterns of their schema, or it is refused."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, refusal_of
from tests.chat.structured.walking import COMPILER, ENDS, follows, walk


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "pattern": r"^\s$"}, '"\u00a0"'),
        ({"type": "string", "pattern": r"^\D$"}, '"\u0660"'),
        ({"type": "string", "pattern": "^.$"}, '"\u2028"'),
        ({"type": "string"}, r'"\ud800"'),
    ],
)
def test_what_a_schema_does_not_allow_is_not_said(schema: Schema, text: str) -> None:
    assert not follows(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"properties": {"p": {"pattern": "(?=a)"}}}, "s.properties.p.pattern"),
        ({"properties": {"p": {"pattern": "(?=a)"}, "(?=a)": {}}}, "s.properties.p.pattern"),
        ({"minLength": 10**9}, "s.minLength"),
    ],
)
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param


@pytest.mark.parametrize(
    ("schema", "named"), [({"type": "string", "pattern": "^(a?){500}a{500}$"}, "too complex")]
)
def test_what_would_take_too_much_is_refused(schema: Schema, named: str) -> None:
    assert named in refusal_of(schema).message


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 5_000, "maxLength": 10**12},
        {"type": "string", "pattern": "^(x+x+)+y$"},
        {"type": "string", "pattern": "^.*a.{200}$"},
    ],
)
def test_what_is_large_is_taken_and_can_be_followed(schema: Schema) -> None:
    walk(COMPILER.json_schema(schema, ENDS, "s"), 1, most=100)
