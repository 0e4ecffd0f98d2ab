"""Events of a stream: valid, invalid, and errors of the server."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, ClassVar

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import friendli
from friendli._streaming.events import EventReader, has_content
from friendli.models.chunk import StreamedChatData

from ..conftest import Caller, Sync
from ..wire import DONE, STOP, A, B, Serve, chunk, completion, event, stream_answer

VALID = {
    "plain": [A, B, STOP, DONE],
    "one chunk": [A + B + STOP + DONE],
    "byte by byte": [bytes([byte]) for byte in A + B + STOP + DONE],
    "crlf": [(A + B + STOP + DONE).replace(b"\n", b"\r\n")],
    "cr": [(A + B + STOP + DONE).replace(b"\n", b"\r")],
    "bom": [b"\xef\xbb", b"\xbf" + A + B + STOP + DONE],
    "comments and keepalives": [b": hi\n\n", A, b":\n", B, b": \n\n", STOP, DONE],
    "retry, id, event only": [b"retry: 1\n\n", A, b"id: 1\n\n", B, b"event: x\n\n", STOP, DONE],
    "empty data": [b"data:\n\n", A, b"data\n\n", B, STOP, DONE],
    "several data lines": [A.replace(b', "choices', b',\ndata: "choices'), B, STOP, DONE],
    "no done": [A, B, STOP],
    "unterminated last event": [A, B, STOP, b'data: {"id": '],
    "junk after done": [A, B, STOP, DONE + b"data: {junk\n\n", b"data: more junk\n\n"],
    "usage chunk": [
        A,
        B,
        STOP,
        event(chunk(None, usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})),
        DONE,
    ],
    "unknown event type": [A, b"event: ping\ndata: {}\n\n", B, STOP, DONE],
    "named message": [b"event: message\n" + A, B, STOP, DONE],
    "unknown values": [A, B, event(chunk({"role": "robot", "x": 1}, "teapot", y=2)), DONE],
}


@pytest.mark.parametrize("chunks", VALID.values(), ids=VALID.keys())
def test_valid_streams_are_parsed(serve: Serve, caller: Caller, chunks: list[bytes]) -> None:
    outcome = caller.events(serve(stream_answer(chunks)).url)
    assert outcome.error is None
    assert outcome.texts == ["a", "b"]
    assert outcome.final.choices[0].message.content == "ab"


class FakeResponse:
    status_code = 200
    headers: ClassVar[dict[str, str]] = {}


@given(
    st.sampled_from(sorted(VALID)),
    st.lists(st.integers(0, 3000), max_size=12),
    st.sampled_from([b"\n", b"\r", b"\r\n"]),
)
def test_any_split_of_a_valid_stream_gives_the_same_answer(
    name: str, cuts: list[int], end: bytes
) -> None:
    body = b"".join(VALID[name]).replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", end)
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    reader = EventReader(FakeResponse, "POST u", 1 << 20)
    texts = []
    for a, b in pairwise(places):
        reader.feed(body[a:b])
        while (result := reader.next()) is not None:
            texts += [c.delta.content for c in result.data.choices if c.delta.content]
    assert texts == ["a", "b"]
    whole = completion("ab")
    total = reader.final_completion().model_dump()
    assert total["choices"][0]["message"]["content"] == whole["choices"][0]["message"]["content"]
    assert reader.done is (
        DONE in b"".join(VALID[name]).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    )


def test_bytes_after_done_are_ignored() -> None:
    reader = EventReader(FakeResponse, "POST u", 1 << 20)
    reader.feed(STOP + DONE)
    while reader.next() is not None:
        pass
    assert reader.done
    reader.feed(b"data: {junk\n\n")
    assert reader.next() is None


def test_invalid_utf8_is_replaced(serve: Serve, caller: Caller) -> None:
    broken = A.replace(b'"a"', b'"a\xff\xe2\x82"')
    outcome = caller.events(serve(stream_answer([broken, STOP, DONE])).url)
    assert outcome.texts == ["a\ufffd\ufffd"]


def test_code_point_split_across_chunks_is_decoded(serve: Serve, caller: Caller) -> None:
    text = json.dumps(chunk({"content": "한🙂"}), ensure_ascii=False).encode()
    whole = event(text)
    chunks = [whole[i : i + 1] for i in range(len(whole))]
    assert caller.events(serve(stream_answer([*chunks, STOP, DONE])).url).texts == ["한🙂"]


ERRORS = {
    "object": (event({"error": {"message": "boom", "code": "oom"}}), "boom", "oom"),
    "text": (event({"error": "boom"}), "boom", None),
    "named": (b'event: error\ndata: {"message": "boom", "code": 7}\n\n', "boom", 7),
    "named text": (b"event: error\ndata: boom\n\n", "boom", None),
    "beside choices": (event(chunk({}, error={"message": "boom"})), "boom", None),
}


@pytest.mark.parametrize("bad, message, code", ERRORS.values(), ids=ERRORS.keys())
def test_error_events_raise_stream_error(
    serve: Serve, caller: Caller, bad: bytes, message: str, code: Any
) -> None:
    outcome = caller.events(serve(stream_answer([A + bad + B, DONE], x_request_id="r")).url)
    assert outcome.texts == ["a"]
    assert isinstance(outcome.error, friendli.StreamError)
    assert f"The server reported an error in mid-stream: {message}" in str(outcome.error)
    assert outcome.error.code == code
    assert outcome.error.request_id == "r"


@pytest.mark.parametrize("depth", [201, 100_000])
@pytest.mark.parametrize("name", ["", "event: error\n"])
def test_deeply_nested_events_raise_friendli_error(
    serve: Serve, caller: Caller, depth: int, name: str
) -> None:
    nested = b'{"error": ' + b"[" * depth + b"]" * depth + b"}"
    server = serve(stream_answer([A + name.encode() + event(nested), DONE]))
    outcome = caller.events(server.url)
    assert outcome.texts == ["a"]
    assert isinstance(outcome.error, friendli.FriendliError)


def test_invalid_items_are_reported_once() -> None:
    items = b",".join([b"0"] * 100_000)
    reader = EventReader(FakeResponse, "POST u", 1 << 20)
    reader.feed(event(b'{"id": "x", "created": 1, "choices": [' + items + b"]}"))
    with pytest.raises(friendli.ResponseValidationError) as caught:
        reader.next()
    cause = caught.value.cause
    assert isinstance(cause, pydantic.ValidationError)
    assert cause.error_count() == 1


@pytest.mark.parametrize(
    "event_json, is_content",
    [
        (chunk({"role": "assistant", "content": ""}), False),
        (chunk({}), False),
        (chunk({"content": "", "tool_calls": [], "note": ""}), False),
        (chunk(None), False),
        (chunk({"content": "a"}), True),
        (chunk({"reasoning_content": "a"}), True),
        (chunk({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}), True),
        (chunk({"note": "a"}), True),
        (chunk({}, "stop"), True),
        (chunk(None, usage=completion()["usage"]), True),
    ],
)
def test_empty_chunks_are_not_content(event_json: Any, is_content: bool) -> None:
    assert has_content(StreamedChatData.model_validate(event_json)) is is_content


INVALID = {
    "not json": b"{junk",
    "not an object": b"[1]",
    "no choices": b'{"id": "x", "created": 1}',
    "wrong type": event(chunk({"content": 5}))[6:-2],
}


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID.keys())
def test_invalid_events_raise_response_validation_error(
    serve: Serve, caller: Caller, text: bytes
) -> None:
    outcome = caller.events(serve(stream_answer([A + event(text) + B, DONE])).url)
    assert outcome.texts == ["a"]
    assert isinstance(outcome.error, friendli.ResponseValidationError)
    assert outcome.error.body == text.decode()
    assert text.decode() in str(outcome.error)
    assert outcome.error.cause is not None


def test_event_over_max_event_bytes_raises(serve: Serve, caller: Caller) -> None:
    big = event(chunk({"content": "x" * 2000}))
    server = serve(stream_answer([A + big]), stream_answer([big, STOP, DONE]))
    outcome = caller.events(server.url, client_options={"max_event_bytes": 1000})
    assert outcome.texts == ["a"]
    assert isinstance(outcome.error, friendli.ResponseTooLargeError)
    assert "an event exceeds the client's `max_event_bytes` of 1,000 bytes" in str(outcome.error)
    assert caller.events(server.url).texts == ["x" * 2000]


@pytest.mark.parametrize("size", [100, 1 << 20])
def test_event_split_into_many_chunks_is_parsed(serve: Serve, size: int) -> None:
    big = event(chunk({"content": "x" * size}))
    chunks = [big[i : i + 1000] for i in range(0, len(big), 1000)]
    outcome = Sync().events(serve(stream_answer([*chunks, STOP, DONE])).url)
    assert [len(text) for text in outcome.texts] == [size]
