"""Strict JSON: finite numbers, the wire names of types, and paths."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.body import parse_body
from friendli_endpoint.http.strict_json import path_of
from tests.http.scripted import VALID


def parsed(body: bytes) -> DedicatedChatCompletionBody:
    return parse_body(body, DedicatedChatCompletionBody)


def request_error(body: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parsed(body)
    return caught.value


def spliced(field: str, value: str) -> bytes:
    """Returns a valid body with one more field, whose value is inserted unchanged."""
    return (json.dumps(VALID)[:-1] + f', "{field}": {value}}}').encode()


@pytest.mark.parametrize(
    "number",
    ["NaN", "Infinity", "-Infinity", "1e999", "-1E+400", "9" * 309 + ".0", "9" * 301 + "e9"],
)
@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("chat_template_kwargs", '{"a": [1, {"b": %s}]}', "chat_template_kwargs.a[1].b"),
        ("logit_bias", '{"5": %s}', "logit_bias.5"),
        ("temperature", "%s", "temperature"),
        ("unheard_of", "[%s]", "unheard_of[0]"),
        (
            "tools",
            '[{"type": "function", "function": {"name": "f", "parameters": {"maximum": %s}}}]',
            "tools[0].function.parameters.maximum",
        ),
        (
            "response_format",
            '{"type": "json_schema", "json_schema": {"schema": {"const": %s}}}',
            "response_format.json_schema.schema.const",
        ),
    ],
)
def test_a_non_finite_number_gets_400_in_any_field(
    field: str, value: str, param: str, number: str
) -> None:
    found = request_error(spliced(field, value % number))
    assert (found.status, found.param, found.code) == (400, param, "out_of_range")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_valid(number: float) -> None:
    body = parsed(spliced("chat_template_kwargs", json.dumps({"a": number})))
    assert body.chat_template_kwargs == {"a": number}


def test_the_names_of_non_finite_numbers_are_valid_text() -> None:
    text = "NaN Infinity -Infinity 1e999 " + "9" * 400
    message = {"role": "user", "content": text}
    assert parsed(json.dumps({**VALID, "messages": [message]}).encode()).messages[0].content == text


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"ROLE": "user", "content": "x"}]}, "messages[0].role"),
        ({"messages": [*VALID["messages"], {"ROLE": "tool", "content": ""}]}, "messages[1]"),
        (
            {"messages": [{"role": "user", "content": [{"TYPE": "text", "text": "x"}]}]},
            "messages[0].content[0].type",
        ),
        ({"response_format": {"TYPE": "json_object"}}, "response_format.type"),
    ],
    ids=["role", "a second one", "part", "format"],
)
def test_python_names_of_fields_are_rejected(fields: dict[str, Any], param: str) -> None:
    found = request_error(json.dumps({**VALID, **fields}).encode())
    assert found.status == 422
    assert (found.param or "").startswith(param)


@pytest.mark.parametrize("number", ["9" * 308 + ".0", "9" * 199 + "e9", "1e308", "-1E+308"])
def test_a_large_finite_number_is_valid(number: str) -> None:
    body = parsed(spliced("chat_template_kwargs", f'{{"a": {number}}}'))
    assert body.chat_template_kwargs == {"a": float(number)}


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ((), ""),
        (("messages",), "messages"),
        (("messages", 0, "content", 12, "text"), "messages[0].content[12].text"),
        ((3, "a"), "[3].a"),
        (("a", 0, 1), "a[0][1]"),
    ],
)
def test_a_path_is_written_with_dots_and_brackets(keys: tuple[int | str, ...], path: str) -> None:
    assert path_of(keys) == path
