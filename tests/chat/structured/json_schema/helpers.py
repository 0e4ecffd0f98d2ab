"""Validation of outputs with the jsonschema package, and errors for schemas."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from friendli_endpoint.generation import RequestError
from tests.chat.structured.walks import COMPILER, ENDS

__all__ = ["Schema", "check", "error_of"]

Schema = dict[str, Any]


def check(schema: Schema, text: str) -> None:
    """Checks that a text is valid JSON for a schema, in the draft that the schema names."""
    validator = validator_for(schema, default=Draft202012Validator)
    validator(schema, format_checker=validator.FORMAT_CHECKER).validate(json.loads(text))


def error_of(schema: object) -> RequestError:
    """Returns the error for a schema whose param is `s`."""
    with pytest.raises(RequestError) as caught:
        COMPILER.json_schema(schema, ENDS, "s")
    assert caught.value.status == 400
    assert caught.value.param is not None and caught.value.param in caught.value.message
    return caught.value
