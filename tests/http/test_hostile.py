"""Bodies that lie about themselves: endless numbers, other names, deep calls, long echoes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.generation import Refusal
from friendli_endpoint.http.body import MAX_VALUES, parse_body
from friendli_endpoint.http.errors import error_body
from tests.http.scripted import VALID


def parsed(body: bytes) -> DedicatedChatCompletionBody:
    return parse_body(body, DedicatedChatCompletionBody)


def refusal(body: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
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


def test_of_a_key_given_twice_the_last_counts() -> None:
    body = b'{"model": "a", "model": "m", "messages": [], "messages": [%s]}'
    message = b'{"role": "clown", "role": "user", "content": 1, "content": "x"}'
    read = parsed(body % message)
    assert (read.model, read.messages[0].role, read.messages[0].content) == ("m", "user", "x")


@pytest.mark.parametrize(
    "value",
    ["[" + "0," * MAX_VALUES + "0]", "{" + '"a":[],' * (MAX_VALUES // 2) + '"a":0}'],
    ids=["a list", "an object"],
)
def test_too_many_values_are_400(value: str) -> None:
    found = refusal(spliced("chat_template_kwargs", f'{{"a": {value}}}'))
    assert (found.status, found.code) == (400, "out_of_range")
    assert "262,144" in found.message


@pytest.mark.parametrize(
    "text", ['"' + r"\"," * (1 << 20), '"' * (1 << 20) + ",", '"\\' + "," * (1 << 20)]
)
def test_a_string_that_does_not_end_is_looked_at_once(text: str) -> None:
    assert refusal(text.encode()).code == "invalid_json"


def test_commas_and_brackets_in_strings_are_not_counted() -> None:
    text = '[{,"\\' * MAX_VALUES
    message = {"role": "user", "content": text}
    read = parsed(json.dumps({**VALID, "messages": [message]}).encode())
    assert read.messages[0].content == text
    assert parsed(spliced("eos_token", "[" + "0," * (MAX_VALUES - 20) + "0]")).eos_token


def test_nul_is_a_character() -> None:
    body = json.dumps({**VALID, "messages": [{"role": "user", "content": "a\0b"}]}).encode()
    assert parsed(body).messages[0].content == "a\0b"


def test_an_error_does_not_send_back_all_it_got() -> None:
    error = error_body(400, "x" * 10**6, "y" * 10**6, "code")["error"]
    assert len(json.dumps(error)) < 1_500
    assert error["message"].startswith("xxx")
    short = error_body(400, "x" * 1000, None, "code")["error"]
    assert (short["message"], short["param"]) == ("x" * 1000, None)
