"""Bodies: how much of one is read, and which error names which field."""

import json
import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.generation import Refusal
from friendli_endpoint.http.body import parse_body
from tests.http.scripted import (
    COMPLETIONS,
    VALID,
    Call,
    ScriptedService,
    check_error,
    run,
    scripted_app,
)


def message(**fields: Any) -> dict[str, Any]:
    """A valid body but for its only message."""
    return {**VALID, "messages": [fields]}


def part(**fields: Any) -> dict[str, Any]:
    """A valid body but for the only part of its message."""
    return message(role="user", content=[fields])


def valid(**fields: Any) -> dict[str, Any]:
    return {**VALID, **fields}


def refusal(body: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parse_body(body, DedicatedChatCompletionBody)
    return caught.value


# ── no JSON ──────────────────────────────────────────────────────────────────────────────────


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
def test_what_is_no_json_is_400(body: bytes) -> None:
    found = refusal(body)
    assert (found.status, found.param, found.code) == (400, None, "invalid_json")


# ── JSON that is no request ──────────────────────────────────────────────────────────────────

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
def test_an_error_names_the_field_and_not_the_branch_of_a_union(
    body: Any, status: int, param: str | None
) -> None:
    found = refusal(json.dumps(body).encode())
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
def test_any_json_is_a_request_or_an_error_that_names_a_field_of_it(fields: Any) -> None:
    body = json.dumps({**VALID, **fields}).encode()
    try:
        parsed = parse_body(body, DedicatedChatCompletionBody)
    except Refusal as error:
        assert error.status in (400, 422)
        assert error.code != "invalid_json"
        if error.param is not None:
            top = error.param.partition(".")[0].partition("[")[0]
            assert top in {**VALID, **fields}
    else:
        assert parsed.model == {**VALID, **fields}["model"]


@given(st.binary(max_size=200) | st.text(string.printable, max_size=50).map(str.encode))
def test_any_bytes_are_an_error(body: bytes) -> None:
    assert refusal(body).status in (400, 422)


# ── how much is read ─────────────────────────────────────────────────────────────────────────


def posted(service: ScriptedService, pieces: list[bytes], *headers: tuple[str, str]) -> Call:
    """A call with this body to an endpoint that takes 1,000 bytes."""
    calls = []

    async def scenario() -> None:
        app = scripted_app(service, max_body=1_000)
        async with Call(app, "POST", COMPLETIONS, headers=headers, body=pieces) as call:
            calls.append(await call.done())

    run(scenario)
    return calls[0]


@pytest.mark.parametrize(
    ("headers", "read"),
    [
        ((), 3),
        ((("content-length", "100001"),), 0),
        ((("content-length", "9" * 5_000),), 0),
        ((("content-length", "10"),), 3),
        ((("transfer-encoding", "chunked"),), 3),
    ],
    ids=["no length", "its length", "an absurd length", "a length that is not true", "in chunks"],
)
def test_a_body_too_large_is_413_and_not_read_on(
    headers: tuple[tuple[str, str], ...], read: int
) -> None:
    service = ScriptedService()
    call = posted(service, [b" " * 400] * 25, *headers)
    assert check_error(call, 413)["code"] == "body_too_large"
    assert call.pieces_read == read
    assert call.header("connection") == "close"
    assert service.accepted == []


def test_a_body_of_just_the_size_is_taken() -> None:
    service = ScriptedService()
    service.fault = Refusal("taken", status=404)
    padded = json.dumps(VALID).encode().ljust(1_000)
    assert posted(service, [padded[:300], padded[300:]]).status == 404
    check_error(posted(service, [padded[:300], padded[300:], b" "]), 413)


@pytest.mark.parametrize("pieces", [[b""], [b"", b""]])
def test_no_body_is_400(pieces: list[bytes]) -> None:
    call = posted(ScriptedService(), pieces)
    error = check_error(call, 400)
    assert "no body" in error["message"]


@pytest.mark.parametrize("cut", [lambda body: [body], lambda body: [bytes([b]) for b in body]])
def test_however_a_body_comes_it_is_the_same(cut: Callable[[bytes], list[bytes]]) -> None:
    service = ScriptedService()
    service.scripted.refusal = Refusal("enough", status=404)
    assert posted(service, cut(json.dumps(VALID).encode())).status == 404
    assert [body.messages[0].content for body in service.accepted] == ["Hello!"]
