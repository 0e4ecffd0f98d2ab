"""What validation lets pass: endless numbers, and the names of the Python types."""

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


def refusal(body: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parsed(body)
    return caught.value


def spliced(field: str, value: str) -> bytes:
    """A valid body with one more field, written as it is given."""
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
def test_a_number_without_end_is_400_wherever_it_is(
    field: str, value: str, param: str, number: str
) -> None:
    found = refusal(spliced(field, value % number))
    assert (found.status, found.param, found.code) == (400, param, "out_of_range")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_other_number_is_let_through(number: float) -> None:
    body = parsed(spliced("chat_template_kwargs", json.dumps({"a": number})))
    assert body.chat_template_kwargs == {"a": number}


def test_the_words_for_endless_numbers_are_good_text() -> None:
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
        ({"response_format": {"type": "regex", "schema_": "a"}}, "response_format.schema"),
    ],
    ids=["role", "a second one", "part", "format", "schema"],
)
def test_names_of_the_python_types_are_not_those_of_the_wire(
    fields: dict[str, Any], param: str
) -> None:
    found = refusal(json.dumps({**VALID, **fields}).encode())
    assert found.status == 422
    assert (found.param or "").startswith(param)


@pytest.mark.parametrize("number", ["9" * 308 + ".0", "9" * 199 + "e9", "1e308", "-1E+308"])
def test_a_number_that_looks_endless_and_is_not_is_let_through(number: str) -> None:
    body = parsed(spliced("chat_template_kwargs", f'{{"a": {number}}}'))
    assert body.chat_template_kwargs == {"a": float(number)}


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ((), ""),
        (("messages",), "messages"),
        (("messages", 0, "content", 12, "text"), "messages[0].content[12].text"),
        ((3, "a"), "[3].a"),
        (("a", 0, 1), "a[0][1]"),
    ],
)
def test_a_path_is_written_as_in_a_program(place: tuple[int | str, ...], path: str) -> None:
    assert path_of(place) == path
