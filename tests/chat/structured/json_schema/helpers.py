"""Whether texts are valid by another validator, and what is said against schemas."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from friendli_endpoint.generation import RequestError
from tests.chat.structured.walking import COMPILER, ENDS

__all__ = ["Schema", "check", "refusal_of"]

Schema = dict[str, Any]


def check(schema: Schema, text: str) -> None:
    """That a text is JSON that a schema allows, by the draft that it names."""
    kind = validator_for(schema, default=Draft202012Validator)
    kind(schema, format_checker=kind.FORMAT_CHECKER).validate(json.loads(text))


def refusal_of(schema: object) -> RequestError:
    """What is said against a schema, called `s`."""
    with pytest.raises(RequestError) as caught:
        COMPILER.json_schema(schema, ENDS, "s")
    assert caught.value.status == 400
    assert caught.value.param is not None and caught.value.param in caught.value.message
    return caught.value
