"""Rewriting as a whole: outputs are valid for the jsonschema package."""

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.structured.json_schema import rewrite_schema
from friendli_endpoint.generation import RequestError
from tests.chat.structured.json_schema.helpers import Schema, check, error_of
from tests.chat.structured.json_schema.random_schemas import ANY_SCHEMA
from tests.chat.structured.schemas import SCHEMAS
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk


@pytest.mark.exhaustive
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
def test_random_schemas_are_enforced_or_rejected(root: Any, inner: Any, seed: int) -> None:
    schema: Schema = {"allOf": [root], "$defs": {"A": inner}}
    try:
        constraint = COMPILER.json_schema(schema, ENDS, "s")
    except RequestError as error:
        assert error.status == 400 and error.param is not None
        return
    text = walk(constraint, seed)
    if text is not None:
        check(schema, text)


@pytest.mark.parametrize(
    ("schema", "text"),
    [({"x-guidance": {"lenient": True}, "type": "string", "format": "date"}, '"x"')],
)
def test_values_that_violate_the_schema_are_not_allowed(schema: Schema, text: str) -> None:
    assert not allows_text(COMPILER.json_schema(schema, ENDS, "s"), text)


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ([], "s"),
        (None, "s"),
        ("string", "s"),
    ],
)
def test_invalid_schemas_are_rejected_with_the_path(schema: object, param: str) -> None:
    error = error_of(schema)
    assert (error.code, error.param) == ("invalid_schema", param)


def test_each_of_many_definitions_is_rewritten_once() -> None:
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
        rewrite_schema({**schema, "required": ["r1"], "extends": {}}, "s")
    started = time.process_time()
    with suppress(RequestError):
        rewrite_schema(schema, "s")
    assert time.process_time() - started < 2


def test_rewritten_schemas_are_checked_like_any_other() -> None:
    forged = json.loads(json.dumps(rewrite_schema({"type": "string"}, "s").root))
    forged["$dynamicRef"] = "#"
    assert error_of(forged).param == "s.$dynamicRef"
