"""Constants that cannot be generated exactly are rejected; long lists are supported."""

import pytest

from friendli_endpoint.chat.structured.json_schema import rewrite_schema
from friendli_endpoint.generation import RequestError
from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.walks import COMPILER, ENDS, walk


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"const": 2**53 + 1}, "s.const"),
        ({"enum": ["ok", {"a": [1e300]}]}, "s.enum[1]"),
        ({"const": "\x00"}, "s.const"),
        ({"properties": {"\x7f": {}}}, 's.properties["\\u007f"]'),
        ({"enum": ["ok", "x" * 8193]}, "s.enum[1]"),
        ({"const": {"a": ["\u00e9" * 4097]}}, "s.const"),
        ({"required": ["x" * 8193]}, "s.required"),
        ({"propertyNames": {"const": "x" * 8193}}, "s.propertyNames"),
        ({"properties": {"x" * 8193: {}}}, f"s.properties.{'x' * 8193}"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param


@pytest.mark.parametrize(
    ("schema", "message"), [({"enum": [[[n]] for n in range(5_000)]}, "10,000 items")]
)
def test_schemas_beyond_the_limits_are_rejected(schema: Schema, message: str) -> None:
    assert message in error_of(schema).message


@pytest.mark.parametrize("schema", [{"enum": [f"value {n}" for n in range(10_000)]}])
def test_large_schemas_are_supported(schema: Schema) -> None:
    walk(COMPILER.json_schema(schema, ENDS, "s"), 1, max_tokens=100)


def test_characters_that_need_a_unicode_escape_are_rejected_in_names_and_constants() -> None:
    short_escapes = {ord(character) for character in "\b\t\n\f\r"}
    rejected = {*range(32), 127, *range(0xD800, 0xE000)} - short_escapes
    for code in (*range(256), *range(0xD7F0, 0xE010), 0xFFFF, 0x10000, 0x10FFFF):
        text = f"a{chr(code)}"
        schemas: list[Schema] = [
            {"const": text},
            {"enum": [{text: 1}]},
            {"properties": {text: {}}},
        ]
        for schema in schemas:
            try:
                rewrite_schema(schema, "s")
            except RequestError as error:
                assert code in rejected and "control character" in error.message
            else:
                assert code not in rejected
