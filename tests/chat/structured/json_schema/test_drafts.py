"""Versions of JSON Schema: keywords are enforced as in the named draft, or rejected."""

import json
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.structured.json_schema.document import subschemas
from friendli_endpoint.generation import RequestError
from tests.chat.structured.json_schema.helpers import check, error_of
from tests.chat.structured.json_schema.random_schemas import ANY_SCHEMA
from tests.chat.structured.schemas import D4, D6, D7, D2019, D2020
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk

_DRAFTS = st.sampled_from([None, D4, D4.rstrip("#"), D6, D7, D2019, D2020, "https://example.com/"])

_POINTERS = {
    "#/$defs/A": {"$defs": {"A": None}},
    "#/definitions/a~1b%20%7E0%25": {"definitions": {"a/b ~%": None}},
    "#/x-parts/list/1": {"x-parts": {"list": [{}, None]}},
}

_ANNOTATIONS: dict[str, Any] = {
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


def _annotated(schema: Any, annotations: dict[str, Any]) -> Any:
    """Adds annotations to a schema and all of its subschemas."""
    if not isinstance(schema, dict):
        return schema
    annotated = json.loads(json.dumps(schema))
    for path, inner in subschemas(schema):
        parent = annotated
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = _annotated(inner, annotations)
    return {**annotations, **annotated}


@settings(max_examples=200, deadline=None)
@given(
    ANY_SCHEMA,
    ANY_SCHEMA,
    _DRAFTS,
    st.sampled_from(sorted(_POINTERS)),
    st.lists(st.sampled_from(sorted(_ANNOTATIONS)), max_size=3),
    st.integers(0, 2**32),
)
def test_random_schemas_in_any_draft_are_enforced_or_rejected(
    root: Any, inner: Any, draft: str | None, pointer: str, names: list[str], seed: int
) -> None:
    annotations = {name: _ANNOTATIONS[name] for name in names}
    text = json.dumps([_annotated(root, annotations), _annotated(inner, annotations)])
    # In draft 4 a schema is an object, and jsonschema fails on another one in `items`.
    is_draft_4 = draft is not None and "draft-04" in draft
    assume(not (is_draft_4 and re.search(r'"items": (true|false)', text)))
    root, inner = json.loads(text.replace('"#/$defs/A"', f'"{pointer}"'))
    target = json.loads(json.dumps(_POINTERS[pointer]).replace("null", json.dumps(inner)))
    schema = {**({"$schema": draft} if draft else {}), "allOf": [root, {}], **target}
    try:
        constraint = COMPILER.json_schema(schema, ENDS, "s")
    except RequestError as error:
        assert error.status == 400 and error.param is not None
        return
    output = walk(constraint, seed)
    if output is not None:
        check(schema, output)


@pytest.mark.parametrize("draft", [D4, D6, D7, D2019])
def test_prefix_items_are_rejected_or_ignored_in_drafts_without_them(draft: str) -> None:
    schema = {
        "$schema": draft,
        "type": "array",
        "items": {"type": "array"},
        "prefixItems": [{"const": ""}],
    }
    try:
        constraint = COMPILER.json_schema(schema, ENDS, "s")
    except RequestError as error:
        assert error.param == "s.prefixItems"
        return
    assert not allows_text(constraint, '[""]')


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"$schema": D7, "prefixItems": [{}]}, "s.prefixItems"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "s.$schema"),
    ],
)
def test_unsupported_keywords_are_rejected_with_their_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert error.code == "unsupported_schema"
    assert error.param == param
