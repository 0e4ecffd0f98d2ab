"""Each version of JSON Schema means what it says, and what it does not know is named."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.structured.json_schema.document import subschemas
from friendli_endpoint.generation import RequestError
from tests.chat.structured.json_schema.helpers import check, refusal_of
from tests.chat.structured.json_schema.random_schemas import ANY_SCHEMA
from tests.chat.structured.schemas import D4, D6, D7, D2019, D2020
from tests.chat.structured.walking import COMPILER, ENDS, follows, walk

_DRAFTS = st.sampled_from([None, D4, D4.rstrip("#"), D6, D7, D2019, D2020, "https://example.com/"])

_POINTERS = {
    "#/$defs/A": {"$defs": {"A": None}},
    "#/definitions/a~1b%20%7E0%25": {"definitions": {"a/b ~%": None}},
    "#/x-parts/list/1": {"x-parts": {"list": [{}, None]}},
}

_NOISE: dict[str, Any] = {
    "title": "A title",
    "description": "not",
    "$comment": "$ref",
    "default": {"$ref": "#/nowhere", "type": 3},
    "examples": [{"not": {}}],
    "readOnly": True,
    "nullable": True,
    "deprecated": False,
    "x-order": {"enum": []},
    "enumNames": ["a"],
}


def _dressed(schema: Any, noise: dict[str, Any]) -> Any:
    """The same schema, with annotations in it and everything that is inside it."""
    if not isinstance(schema, dict):
        return schema
    dressed = json.loads(json.dumps(schema))
    for place, inner in subschemas(schema):
        around = dressed
        for step in place[:-1]:
            around = around[step]
        around[place[-1]] = _dressed(inner, noise)
    return {**noise, **dressed}


@settings(max_examples=200, deadline=None)
@given(
    ANY_SCHEMA,
    ANY_SCHEMA,
    _DRAFTS,
    st.sampled_from(sorted(_POINTERS)),
    st.lists(st.sampled_from(sorted(_NOISE)), max_size=3),
    st.integers(0, 2**32),
)
def test_any_schema_in_any_draft(
    root: Any, inner: Any, draft: str | None, pointer: str, noise: list[str], seed: int
) -> None:
    notes = {name: _NOISE[name] for name in noise}
    text = json.dumps([_dressed(root, notes), _dressed(inner, notes)])
    root, inner = json.loads(text.replace('"#/$defs/A"', f'"{pointer}"'))
    target = json.loads(json.dumps(_POINTERS[pointer]).replace("null", json.dumps(inner)))
    schema = {**({"$schema": draft} if draft else {}), "allOf": [root, {}], **target}
    try:
        constraint = COMPILER.json_schema(schema, ENDS, "s")
    except RequestError as refusal:
        assert refusal.status == 400 and refusal.param is not None
        return
    output = walk(constraint, seed)
    if output is not None:
        check(schema, output)


@pytest.mark.parametrize("draft", [D4, D6, D7, D2019])
def test_prefix_items_are_refused_or_ignored_before_the_draft_that_brought_them(draft: str) -> None:
    schema = {
        "$schema": draft,
        "type": "array",
        "items": {"type": "array"},
        "prefixItems": [{"const": ""}],
    }
    try:
        constraint = COMPILER.json_schema(schema, ENDS, "s")
    except RequestError as refusal:
        assert refusal.param == "s.prefixItems"
        return
    assert not follows(constraint, '[""]')


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"$schema": D7, "prefixItems": [{}]}, "s.prefixItems"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "s.$schema"),
    ],
)
def test_what_is_not_enforced_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert refusal.code == "unsupported_schema"
    assert refusal.param == param
