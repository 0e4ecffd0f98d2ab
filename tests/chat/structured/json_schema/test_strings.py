"""String keywords: lengths and patterns are enforced or rejected."""

import pytest

from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "pattern": r"^\s$"}, '"\u00a0"'),
        ({"type": "string", "pattern": r"^\D$"}, '"\u0660"'),
        ({"type": "string", "pattern": "^.$"}, '"\u2028"'),
        ({"type": "string"}, r'"\ud800"'),
    ],
)
def test_values_that_violate_the_schema_are_not_allowed(schema: Schema, text: str) -> None:
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"properties": {"p": {"pattern": "(?<=a)"}}}, "s.properties.p.pattern"),
        ({"properties": {"p": {"pattern": "(?<=a)"}, "(?<=a)": {}}}, "s.properties.p.pattern"),
        ({"minLength": 10**9}, "s.minLength"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


@pytest.mark.parametrize(
    ("schema", "message"), [({"type": "string", "pattern": "^(a?){500}a{500}$"}, "too complex")]
)
def test_schemas_beyond_the_limits_are_rejected(schema: Schema, message: str) -> None:
    assert message in error_of(schema).message


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 5_000, "maxLength": 10**12},
        {"type": "string", "pattern": "^(x+x+)+y$"},
        {"type": "string", "pattern": "^.*a.{200}$"},
    ],
)
def test_large_schemas_are_supported(schema: Schema) -> None:
    walk(COMPILER.json_schema(schema, ENDS, "s"), 1, max_tokens=100)
