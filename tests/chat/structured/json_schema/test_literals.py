"""Constants that cannot be written exactly are named; many of them are taken."""

import pytest

from friendli_endpoint.chat.structured.json_schema import fit_schema
from friendli_endpoint.generation import RequestError
from tests.chat.structured.json_schema.helpers import Schema, refusal_of
from tests.chat.structured.walking import COMPILER, ENDS, walk


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"const": 2**53 + 1}, "s.const"),
        ({"enum": ["ok", {"a": [1e300]}]}, "s.enum[1]"),
        ({"const": "\x00"}, "s.const"),
        ({"properties": {"\x7f": {}}}, 's.properties["\\u007f"]'),
    ],
)
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param


@pytest.mark.parametrize(
    ("schema", "named"), [({"enum": [[n] for n in range(10_001)]}, "10,000 constants")]
)
def test_what_would_take_too_much_is_refused(schema: Schema, named: str) -> None:
    assert named in refusal_of(schema).message


@pytest.mark.parametrize("schema", [{"enum": [f"value {n}" for n in range(10_000)]}])
def test_what_is_large_is_taken_and_can_be_followed(schema: Schema) -> None:
    walk(COMPILER.json_schema(schema, ENDS, "s"), 1, most=100)


def test_characters_that_need_four_digits_are_refused_in_names_and_constants() -> None:
    short = {ord(character) for character in "\b\t\n\f\r"}
    refused = {*range(32), 127, *range(0xD800, 0xE000)} - short
    for code in (*range(256), *range(0xD7F0, 0xE010), 0xFFFF, 0x10000, 0x10FFFF):
        text = f"a{chr(code)}"
        schemas: list[Schema] = [
            {"const": text},
            {"enum": [{text: 1}]},
            {"properties": {text: {}}},
        ]
        for schema in schemas:
            try:
                fit_schema(schema, "s")
            except RequestError as refusal:
                assert code in refused and "control character" in refusal.message
            else:
                assert code not in refused
