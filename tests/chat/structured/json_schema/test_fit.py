"""The way of a whole schema: its outputs are valid as another validator sees it."""

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.structured.json_schema import fit_schema
from friendli_endpoint.generation import RequestError
from tests.chat.structured.json_schema.helpers import Schema, check, refusal_of
from tests.chat.structured.json_schema.random_schemas import ANY_SCHEMA
from tests.chat.structured.schemas import SCHEMAS
from tests.chat.structured.walking import COMPILER, ENDS, follows, walk


@pytest.mark.parametrize("name", SCHEMAS)
def test_outputs_of_real_schemas_are_valid(name: str) -> None:
    schema = SCHEMAS[name]
    finished = 0
    for seed in range(12):
        text = walk(COMPILER.json_schema(schema, ENDS, "s"), seed)
        if text is not None:
            finished += 1
            check(schema, text)
    assert finished


@settings(max_examples=300, deadline=None)
@given(ANY_SCHEMA, ANY_SCHEMA, st.integers(0, 2**32))
def test_any_schema_is_enforced_or_refused(root: Any, inner: Any, seed: int) -> None:
    schema: Schema = {"allOf": [root], "$defs": {"A": inner}}
    try:
        constraint = COMPILER.json_schema(schema, ENDS, "s")
    except RequestError as refusal:
        assert refusal.status == 400 and refusal.param is not None
        return
    text = walk(constraint, seed)
    if text is not None:
        check(schema, text)


@pytest.mark.parametrize(
    ("schema", "text"),
    [({"x-guidance": {"lenient": True}, "type": "string", "format": "date"}, '"x"')],
)
def test_what_a_schema_does_not_allow_is_not_said(schema: Schema, text: str) -> None:
    assert not follows(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ([], "s"),
        (None, "s"),
        ("string", "s"),
    ],
)
def test_what_is_no_schema_is_named_with_its_place(schema: object, param: str) -> None:
    refusal = refusal_of(schema)
    assert (refusal.code, refusal.param) == ("invalid_schema", param)


def test_many_definitions_are_looked_at_once_each() -> None:
    links = {
        f"d{n}": {
            "type": "object",
            "properties": {"x": {"$ref": f"#/$defs/d{(n * 7 + 1) % 4001}"}},
            "required": ["x"],
        }
        for n in range(4000)
    }
    roots = {f"r{n}": {"$ref": f"#/$defs/d{n}"} for n in range(1999, 0, -1)}
    schema = {"type": "object", "properties": roots, "$defs": {**links, "d4000": {}}}
    with pytest.raises(RequestError):
        fit_schema({**schema, "required": ["r1"], "contains": {}}, "s")
    started = time.process_time()
    with suppress(RequestError):
        fit_schema(schema, "s")
    assert time.process_time() - started < 2


def test_options_of_the_compiler_cannot_be_sent() -> None:
    forged = json.loads(json.dumps(fit_schema({"type": "string"}, "s").root))
    forged["$dynamicRef"] = "#"
    assert refusal_of(forged).param == "s.$dynamicRef"
