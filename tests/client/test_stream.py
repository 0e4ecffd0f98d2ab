"""Streams over a real socket: legal, broken, cut, left early."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import friendli
from friendli import AsyncFriendli, SyncFriendli
from friendli._streaming.events import EventReader

from .conftest import Async, Sync
from .wire import (
    DONE,
    MESSAGES,
    Peer,
    Server,
    chunk,
    chunked,
    completion,
    event,
    head,
    json_answer,
    stream_answer,
    stream_head,
    words,
)

Way = Sync | Async
Serve = Callable[..., Server]
A, B = event(chunk({"content": "a"})), event(chunk({"content": "b"}))
STOP = event(chunk({}, "stop"))

LEGAL = {
    "plain": [A, B, STOP, DONE],
    "one piece": [A + B + STOP + DONE],
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
    "events of a kind unknown": [A, b"event: ping\ndata: {}\n\n", B, STOP, DONE],
    "named message": [b"event: message\n" + A, B, STOP, DONE],
    "unknown values": [A, B, event(chunk({"role": "robot", "x": 1}, "teapot", y=2)), DONE],
}


@pytest.mark.parametrize("pieces", LEGAL.values(), ids=LEGAL.keys())
def test_legal(serve: Serve, way: Way, pieces: list[bytes]) -> None:
    outcome = way.events(serve(stream_answer(pieces)).url)
    assert outcome.error is None
    assert outcome.texts == ["a", "b"]
    assert outcome.final.choices[0].message.content == "ab"


class Answered:
    status_code = 200
    headers: ClassVar[dict[str, str]] = {}


@given(
    st.sampled_from(sorted(LEGAL)),
    st.lists(st.integers(0, 3000), max_size=12),
    st.sampled_from([b"\n", b"\r", b"\r\n"]),
)
def test_any_cut_of_a_legal_stream_gives_the_same_answer(
    name: str, cuts: list[int], end: bytes
) -> None:
    body = b"".join(LEGAL[name]).replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", end)
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    reader = EventReader(Answered, "POST u", 1 << 20)
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
        DONE in b"".join(LEGAL[name]).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    )


def test_bytes_that_come_after_the_end_of_a_stream_count_for_nothing() -> None:
    reader = EventReader(Answered, "POST u", 1 << 20)
    reader.feed(STOP + DONE)
    while reader.next() is not None:
        pass
    assert reader.done
    reader.feed(b"data: {junk\n\n")
    assert reader.next() is None


def test_invalid_utf8_is_replaced(serve: Serve, way: Way) -> None:
    broken = A.replace(b'"a"', b'"a\xff\xe2\x82"')
    outcome = way.events(serve(stream_answer([broken, STOP, DONE])).url)
    assert outcome.texts == ["a\ufffd\ufffd"]


def test_code_point_cut_by_the_network(serve: Serve, way: Way) -> None:
    text = json.dumps(chunk({"content": "한🙂"}), ensure_ascii=False).encode()
    whole = event(text)
    pieces = [whole[i : i + 1] for i in range(len(whole))]
    assert way.events(serve(stream_answer([*pieces, STOP, DONE])).url).texts == ["한🙂"]


def test_compressed(serve: Serve, way: Way) -> None:
    body = gzip.compress(A + B + STOP + DONE)
    server = serve(stream_answer([body[:20], body[20:]], content_encoding="gzip"))
    assert way.events(server.url).texts == ["a", "b"]


ERRORS = {
    "object": (event({"error": {"message": "boom", "code": "oom"}}), "boom", "oom"),
    "text": (event({"error": "boom"}), "boom", None),
    "named": (b'event: error\ndata: {"message": "boom", "code": 7}\n\n', "boom", 7),
    "named text": (b"event: error\ndata: boom\n\n", "boom", None),
    "beside choices": (event(chunk({}, error={"message": "boom"})), "boom", None),
}


@pytest.mark.parametrize("bad, message, code", ERRORS.values(), ids=ERRORS.keys())
def test_error_events(serve: Serve, way: Way, bad: bytes, message: str, code: Any) -> None:
    outcome = way.events(serve(stream_answer([A + bad + B, DONE], x_request_id="r")).url)
    assert outcome.texts == ["a"]
    assert isinstance(outcome.error, friendli.StreamError)
    assert f"The server reported an error in mid-stream: {message}" in str(outcome.error)
    assert outcome.error.code == code
    assert outcome.error.request_id == "r"


BROKEN = {
    "not json": b"{junk",
    "not an object": b"[1]",
    "no choices": b'{"id": "x", "created": 1}',
    "wrong type": event(chunk({"content": 5}))[6:-2],
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_broken_events_raise_with_the_text(serve: Serve, way: Way, text: bytes) -> None:
    outcome = way.events(serve(stream_answer([A + event(text) + B, DONE])).url)
    assert outcome.texts == ["a"]
    assert isinstance(outcome.error, friendli.ResponseValidationError)
    assert outcome.error.body == text.decode()
    assert text.decode() in str(outcome.error)
    assert outcome.error.cause is not None


def test_an_event_beyond_the_bound_raises(serve: Serve, way: Way) -> None:
    big = event(chunk({"content": "x" * 2000}))
    server = serve(stream_answer([A + big]), stream_answer([big, STOP, DONE]))
    outcome = way.events(server.url, client_options={"max_event_bytes": 1000})
    assert outcome.texts == ["a"]
    assert isinstance(outcome.error, friendli.ResponseValidationError)
    assert way.events(server.url).texts == ["x" * 2000]


class TestCut:
    @pytest.mark.parametrize("how", ["close", "reset"])
    def test_by_the_transport(self, serve: Serve, way: Way, how: str) -> None:
        def cut(peer: Peer) -> None:
            peer.send(stream_head() + chunked(A))
            if how == "reset":
                peer.reset()

        outcome = way.events(serve(cut).url)
        assert isinstance(outcome.error, friendli.NetworkError)
        assert isinstance(outcome.error, ConnectionError)
        assert outcome.texts == ["a"] or how == "reset"
        assert "/dedicated/v1/chat/completions" in str(outcome.error)

    def test_by_a_short_length(self, serve: Serve, way: Way) -> None:
        def cut(peer: Peer) -> None:
            peer.send(head(200, {"content-type": "text/event-stream", "content-length": "9999"}))
            peer.send(A + STOP)

        assert isinstance(way.events(serve(cut).url).error, friendli.NetworkError)

    def test_clean_end_without_done(self, serve: Serve, way: Way) -> None:
        outcome = way.events(serve(stream_answer([A, B])).url)
        assert outcome.texts == ["a", "b"]
        assert isinstance(outcome.error, friendli.StreamIncompleteError)
        assert outcome.error.completion is not None
        assert outcome.error.completion.choices[0].message.content == "ab"

    def test_nothing_at_all(self, serve: Serve, way: Way) -> None:
        outcome = way.events(serve(stream_answer([])).url)
        assert outcome.events == []
        assert isinstance(outcome.error, friendli.StreamIncompleteError)

    def test_silence_beyond_the_timeout(self, serve: Serve, way: Way) -> None:
        def silent(peer: Peer) -> None:
            peer.send(stream_head() + chunked(A))
            peer.wait_until_left()

        outcome = way.events(serve(silent).url, timeout_ms=60)
        assert outcome.texts == ["a"]
        assert isinstance(outcome.error, friendli.RequestTimeoutError)
        assert isinstance(outcome.error, TimeoutError)


class Watched:
    """A stream that never ends, and the news that its reader has left."""

    def __init__(self) -> None:
        self.left = threading.Event()

    def __call__(self, peer: Peer) -> None:
        peer.send(stream_head() + chunked(A) + chunked(B))
        if peer.wait_until_left():
            self.left.set()


class TestConnectionIsGivenBack:
    def test_left_early(self, serve: Serve, way: Way) -> None:
        watched = Watched()
        assert way.events(serve(watched).url, 1).texts == ["a"]
        assert watched.left.wait(5)

    def test_done_while_the_server_keeps_the_connection_open(self, serve: Serve, way: Way) -> None:
        def keeps_open(peer: Peer) -> None:
            peer.send(stream_head() + chunked(A + STOP + DONE))
            peer.wait_until_left()

        start = time.monotonic()
        assert way.events(serve(keeps_open).url).final.choices[0].message.content == "a"
        assert time.monotonic() - start < 5

    def test_exception_in_the_block(self, serve: Serve) -> None:
        watched = Watched()
        with SyncFriendli("t", server_url=serve(watched).url) as client:
            with (
                pytest.raises(ZeroDivisionError),
                client.dedicated.chat.stream(model="e", messages=MESSAGES) as stream,
            ):
                next(stream)
                raise ZeroDivisionError
            assert watched.left.wait(5)

    @pytest.mark.parametrize("started", [True, False])
    def test_garbage_collected(self, serve: Serve, started: bool) -> None:
        watched = Watched()
        with SyncFriendli("t", server_url=serve(watched).url) as client:
            stream = client.dedicated.chat.stream(model="e", messages=MESSAGES)
            if started:
                next(stream)
            del stream
            gc.collect()
            assert watched.left.wait(5)

    @pytest.mark.parametrize("started", [True, False])
    def test_garbage_collected_async(self, serve: Serve, started: bool) -> None:
        watched = Watched()

        async def main() -> None:
            async with AsyncFriendli("t", server_url=serve(watched).url) as client:
                stream = await client.dedicated.chat.stream(model="e", messages=MESSAGES)
                if started:
                    await anext(stream)
                del stream
                gc.collect()
                assert await asyncio.to_thread(watched.left.wait, 5)

        asyncio.run(main())

    def test_garbage_collected_in_another_thread(self, serve: Serve) -> None:
        watched = Watched()

        async def main() -> None:
            async with AsyncFriendli("t", server_url=serve(watched).url) as client:
                held = [await client.dedicated.chat.stream(model="e", messages=MESSAGES)]
                await anext(held[0])
                await asyncio.to_thread(held.clear)
                gc.collect()
                assert await asyncio.to_thread(watched.left.wait, 5)

        asyncio.run(main())

    def test_cancelled(self, serve: Serve) -> None:
        watched = Watched()

        async def main() -> None:
            async with AsyncFriendli("t", server_url=serve(watched).url) as client:
                reading = asyncio.Event()

                async def read() -> None:
                    async for _ in await client.dedicated.chat.stream(model="e", messages=MESSAGES):
                        reading.set()

                task = asyncio.create_task(read())
                await reading.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await asyncio.to_thread(watched.left.wait, 5)

        asyncio.run(main())

    def test_closed_by_hand(self, serve: Serve) -> None:
        watched = Watched()
        with SyncFriendli("t", server_url=serve(watched).url) as client:
            stream = client.dedicated.chat.stream(model="e", messages=MESSAGES)
            assert next(stream).data.choices[0].delta.content == "a"
            stream.close()
            stream.close()
            assert watched.left.wait(5)
            assert list(stream) == []


class TestConnectionIsUsedAgain:
    def late_end(self, peer: Peer) -> bool:
        """Sends the end of the body apart from [DONE], as most servers do."""
        peer.send(stream_head() + chunked(A + STOP + DONE))
        time.sleep(0.005)
        peer.send(b"0\r\n\r\n")
        return True

    @pytest.mark.parametrize("end", ["with done", "after done"])
    def test_sync(self, serve: Serve, end: str) -> None:
        whole = stream_answer([A, STOP + DONE])
        server = serve(whole if end == "with done" else self.late_end)
        with SyncFriendli("t", server_url=server.url) as client:
            for _ in range(3):
                stream = client.dedicated.chat.stream(model="e", messages=MESSAGES)
                assert list(stream.text_deltas) == ["a"]
        assert (len(server.requests), server.connections) == (3, 1)

    @pytest.mark.parametrize("end", ["with done", "after done"])
    def test_async(self, serve: Serve, end: str) -> None:
        whole = stream_answer([A, STOP + DONE])
        server = serve(whole if end == "with done" else self.late_end)

        async def main() -> None:
            async with AsyncFriendli("t", server_url=server.url) as client:
                for _ in range(3):
                    stream = await client.dedicated.chat.stream(model="e", messages=MESSAGES)
                    assert [text async for text in stream.text_deltas] == ["a"]

        asyncio.run(main())
        assert (len(server.requests), server.connections) == (3, 1)


class TestHelpers:
    def test_sync(self, serve: Serve) -> None:
        url = serve(stream_answer(words("a", "b"), x_request_id="r")).url
        with SyncFriendli("t", server_url=url) as client:
            stream = client.dedicated.chat.stream(model="e", messages=MESSAGES)
            assert iter(stream) is stream
            assert list(stream.text_deltas) == ["a", "b"]
            final = stream.get_final_completion()
            assert final.choices[0].finish_reason == "stop"
            assert final.request_id == stream.request_id == "r"
            again = client.dedicated.chat.stream(model="e", messages=MESSAGES)
            assert again.until_done() is again
            assert next(again, None) is None

    def test_async(self, serve: Serve) -> None:
        url = serve(stream_answer(words("a", "b"))).url

        async def main() -> None:
            async with AsyncFriendli("t", server_url=url) as client:
                stream = await client.dedicated.chat.stream(model="e", messages=MESSAGES)
                assert [text async for text in stream.text_deltas] == ["a", "b"]
                assert (await stream.get_final_completion()).choices[0].finish_reason == "stop"
                again = await client.dedicated.chat.complete(
                    model="e", messages=MESSAGES, stream=True
                )
                assert await again.until_done() is again

        asyncio.run(main())


def test_a_stream_that_is_no_stream(serve: Serve, way: Way) -> None:
    with pytest.raises(friendli.UnexpectedResponseError, match="Unexpected response received"):
        way.call(serve(json_answer(completion())).url, "stream")
    with pytest.raises(friendli.UnexpectedResponseError, match="Unexpected response received"):
        way.call(serve(stream_answer(words("a"))).url, "complete")


@pytest.mark.parametrize("size", [100, 1 << 20])
def test_cost_per_byte_of_an_event_is_flat(serve: Serve, size: int) -> None:
    big = event(chunk({"content": "x" * size}))
    pieces = [big[i : i + 1000] for i in range(0, len(big), 1000)]
    outcome = Sync().events(serve(stream_answer([*pieces, STOP, DONE])).url)
    assert [len(text) for text in outcome.texts] == [size]
