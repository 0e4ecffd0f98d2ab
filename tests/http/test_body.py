"""Parsing of bodies: the field of each error, and JSON at its limits."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.body import MAX_VALUES, parse_body
from tests.http.scripted import VALID


def message(**fields: Any) -> dict[str, Any]:
    """Returns a body that is valid except for its only message."""
    return {**VALID, "messages": [fields]}


def part(**fields: Any) -> dict[str, Any]:
    """Returns a body that is valid except for the only part of its message."""
    return message(role="user", content=[fields])


def valid(**fields: Any) -> dict[str, Any]:
    return {**VALID, **fields}


def spliced(field: str, value: str) -> bytes:
    """Returns a valid body with one more field, whose value is inserted unchanged."""
    return (json.dumps(VALID)[:-1] + f', "{field}": {value}}}').encode()


def parsed(body: bytes) -> DedicatedChatCompletionBody:
    return parse_body(body, DedicatedChatCompletionBody)


def request_error(body: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse_body(body, DedicatedChatCompletionBody)
    return caught.value


# ── invalid JSON ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"Hello!",
        b"{'model': 'm'}",
        b'{"model": "m"} {"model": "m"}',
        b'{"model": "\\ud800"}',
        b'{"model": "\xed\xa0\x80"}',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"9" * 5_000,
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: repr(body[:16]),
)
def test_invalid_json_gets_400(body: bytes) -> None:
    found = request_error(body)
    assert (found.status, found.param, found.code) == (400, None, "invalid_json")


# ── invalid requests ─────────────────────────────────────────────────────────────────────────

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ([], 422, None),
        ("x", 422, None),
        (None, 422, None),
        ({}, 422, "model"),
        ({"model": "m"}, 422, "messages"),
        ({"messages": VALID["messages"]}, 422, "model"),
        (valid(model=None), 422, "model"),
        (valid(model=3), 422, "model"),
        (valid(messages=None), 422, "messages"),
        (valid(messages="Hello!"), 422, "messages"),
        (valid(messages={"0": VALID["messages"][0]}), 422, "messages"),
        (valid(messages=["Hello!"]), 422, "messages[0]"),
        (valid(messages=[*VALID["messages"], 3]), 422, "messages[1]"),
        (message(), 422, "messages[0].role"),
        (message(content="x"), 422, "messages[0].role"),
        (message(role=5, content="x"), 422, "messages[0].role"),
        (message(role=["user"], content="x"), 422, "messages[0].role"),
        (message(role="clown", content="x"), 400, "messages[0].role"),
        (message(role="user"), 422, "messages[0].content"),
        (message(role="user", content=None), 422, "messages[0].content"),
        (message(role="user", content=5), 422, "messages[0].content"),
        (message(role="user", content={"type": "text"}), 422, "messages[0].content"),
        (message(role="user", content=["x"]), 422, "messages[0].content[0]"),
        (message(role="system", content=5), 422, "messages[0].content"),
        (message(role="assistant", content=5), 422, "messages[0].content"),
        (message(role="tool", content="x"), 422, "messages[0].tool_call_id"),
        (message(role="user", content="x", name=3), 422, "messages[0].name"),
        (
            message(role="assistant", tool_calls=[{"id": "1"}]),
            422,
            "messages[0].tool_calls[0].function",
        ),
        (part(), 422, "messages[0].content[0].type"),
        (part(type=1), 422, "messages[0].content[0].type"),
        (part(type="smell"), 400, "messages[0].content[0].type"),
        (part(type="text"), 422, "messages[0].content[0].text"),
        (part(type="text", text=4), 422, "messages[0].content[0].text"),
        (part(type="image_url", image_url="x"), 422, "messages[0].content[0].image_url"),
        (part(type="image_url", image_url={}), 422, "messages[0].content[0].image_url.url"),
        (valid(n="1"), 422, "n"),
        (valid(n=1.5), 422, "n"),
        (valid(n=True), 422, "n"),
        (valid(n=[]), 422, "n"),
        (valid(max_tokens="200"), 422, "max_tokens"),
        (valid(temperature="hot"), 422, "temperature"),
        (valid(temperature=False), 422, "temperature"),
        (valid(temperature=NAN), 400, "temperature"),
        (valid(top_p=INFINITY), 400, "top_p"),
        (valid(min_p=-INFINITY), 400, "min_p"),
        (valid(temperature=10**400), 400, "temperature"),
        (valid(stop=3), 422, "stop"),
        (valid(stop=["a", 1]), 422, "stop[1]"),
        (valid(seed="1"), 422, "seed"),
        (valid(seed=1.5), 422, "seed"),
        (valid(seed=[1, "x"]), 422, "seed[1]"),
        (valid(eos_token=2), 422, "eos_token"),
        (valid(eos_token=[2, "x"]), 422, "eos_token[1]"),
        (valid(logit_bias=[]), 422, "logit_bias"),
        (valid(logprobs=1), 422, "logprobs"),
        (valid(stream="yes"), 422, "stream"),
        (valid(stream_options=3), 422, "stream_options"),
        (valid(stream_options={"include_usage": "yes"}), 422, "stream_options.include_usage"),
        (valid(response_format="json"), 422, "response_format"),
        (valid(response_format={}), 422, "response_format.type"),
        (valid(response_format={"type": "xml"}), 400, "response_format.type"),
        (valid(response_format={"type": "regex"}), 422, "response_format.schema"),
        (valid(tools={}), 422, "tools"),
        (valid(tools=[{"type": "function"}]), 422, "tools[0].function"),
        (valid(tools=[{"function": {"parameters": {}}}]), 422, "tools[0].function.name"),
        (valid(tool_choice=3), 422, "tool_choice"),
        (valid(tool_choice={"type": "function"}), 422, "tool_choice.function"),
        (valid(chat_template_kwargs="x"), 422, "chat_template_kwargs"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else None,
)
def test_an_error_names_the_field_without_union_branches(
    body: Any, status: int, param: str | None
) -> None:
    found = request_error(json.dumps(body).encode())
    assert (found.status, found.param) == (status, param)
    assert found.message.startswith(param or "the body")
    assert found.code in ("missing_field", "wrong_type", "unknown_value", "out_of_range")


KEYS = st.sampled_from(
    [
        *DedicatedChatCompletionBody.model_fields,
        *("role", "content", "type", "text", "name", "function", "parameters", "tool_calls", "id"),
        *("image_url", "url", "schema", "json_schema", "include_usage", "ROLE", "TYPE", ""),
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["user", "assistant", "text", "image_url", "function", "regex", "none"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, JSON, max_size=5))
def test_any_json_is_valid_or_an_error_with_one_of_its_fields(fields: Any) -> None:
    body = json.dumps({**VALID, **fields}).encode()
    try:
        parsed = parse_body(body, DedicatedChatCompletionBody)
    except RequestError as error:
        assert error.status in (400, 422)
        assert error.code != "invalid_json"
        if error.param is not None:
            top = error.param.partition(".")[0].partition("[")[0]
            assert top in {**VALID, **fields}
    else:
        assert parsed.model == {**VALID, **fields}["model"]


@given(st.binary(max_size=200) | st.text(string.printable, max_size=50).map(str.encode))
def test_random_bytes_are_rejected(body: bytes) -> None:
    assert request_error(body).status in (400, 422)


# ── JSON at its limits ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "value",
    ["[" + "0," * MAX_VALUES + "0]", "{" + '"a":[],' * (MAX_VALUES // 2) + '"a":0}'],
    ids=["a list", "an object"],
)
def test_too_many_values_get_400(value: str) -> None:
    found = request_error(spliced("chat_template_kwargs", f'{{"a": {value}}}'))
    assert (found.status, found.code) == (400, "out_of_range")
    assert "262,144" in found.message


@pytest.mark.parametrize(
    "text", ['"' + r"\"," * (1 << 20), '"' * (1 << 20) + ",", '"\\' + "," * (1 << 20)]
)
def test_an_unterminated_string_is_scanned_once(text: str) -> None:
    assert request_error(text.encode()).code == "invalid_json"


def test_commas_and_brackets_in_strings_are_not_counted() -> None:
    text = '[{,"\\' * MAX_VALUES
    message = {"role": "user", "content": text}
    read = parsed(json.dumps({**VALID, "messages": [message]}).encode())
    assert read.messages[0].content == text
    assert parsed(spliced("eos_token", "[" + "0," * (MAX_VALUES - 20) + "0]")).eos_token


def test_a_nul_character_is_valid() -> None:
    body = json.dumps({**VALID, "messages": [{"role": "user", "content": "a\0b"}]}).encode()
    assert parsed(body).messages[0].content == "a\0b"


def test_the_last_of_duplicate_keys_is_used() -> None:
    body = b'{"model": "a", "model": "m", "messages": [], "messages": [%s]}'
    message = b'{"role": "clown", "role": "user", "content": 1, "content": "x"}'
    read = parsed(body % message)
    assert (read.model, read.messages[0].role, read.messages[0].content) == ("m", "user", "x")
