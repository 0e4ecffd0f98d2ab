"""Deadline and stall timeout of calls, over a real socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import friendli
from friendli import AiohttpClient, AsyncFriendli, SyncFriendli

from ..conftest import Caller, ask
from ..wire import MESSAGES, Answer, Peer, Serve, chunked, completion, event, head, json_answer


def pour(before: bytes, data: bytes) -> Answer:
    """Answer that sends `data` again and again, as fast as the client reads."""

    def send(peer: Peer) -> None:
        peer.send(before)
        while True:
            peer.send(data)  # raises when the client disconnects

    return send


def silence(before: bytes) -> Answer:
    def send(peer: Peer) -> None:
        peer.send(before)
        peer.wait_for_disconnect()

    return send


STREAM = head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
WHOLE = head(200, {"content-type": "application/json"})
EMPTY = event({"id": "x", "created": 1, "choices": [{"index": 0, "delta": {"content": ""}}]})
TEXT = EMPTY.replace(b'""', b'"a"')


class TestStall:
    @pytest.mark.parametrize(
        "server_side",
        [
            silence(STREAM + chunked(TEXT)),
            pour(STREAM + chunked(TEXT), chunked(b": keep-alive\n\n")),
            pour(STREAM + chunked(TEXT), chunked(EMPTY)),
        ],
        ids=["silence", "comments", "empty events"],
    )
    def test_stream_without_content_raises_response_stalled_error(
        self, serve: Serve, caller: Caller, server_side: Answer
    ) -> None:
        server = serve(server_side)
        outcome = caller.events(server.url, stall_timeout=0.1)
        assert outcome.texts == ["a"]
        assert isinstance(outcome.error, friendli.ResponseStalledError)
        assert isinstance(outcome.error, friendli.RequestTimeoutError)
        assert "no content for 0.1 s" in str(outcome.error)
        server.join()
        assert server._threads == []

    def test_whole_answer_stalls_if_no_byte_of_its_body_arrives(
        self, serve: Serve, caller: Caller
    ) -> None:
        server = serve(silence(WHOLE + b'{"id"'))
        with pytest.raises(friendli.ResponseStalledError):
            caller.call(server.url, stall_timeout=0.05)
        assert len(server.requests) == 1  # as after a read timeout, there is no retry


class TestDeadline:
    @pytest.mark.parametrize(
        "server_side",
        [
            silence(b""),
            silence(b"HTTP/1.1 200"),
            silence(WHOLE + b'{"id"'),
            pour(WHOLE, b" "),
            silence(head(503, {"content-length": "9"})),
        ],
        ids=["no answer", "part of the headers", "part of the body", "endless", "error body"],
    )
    def test_call_after_its_deadline_raises_deadline_exceeded_error(
        self, serve: Serve, caller: Caller, server_side: Answer
    ) -> None:
        server = serve(server_side)
        with pytest.raises(friendli.DeadlineExceededError, match=r"deadline of 0\.1 s") as caught:
            caller.call(server.url, deadline=0.1)
        assert isinstance(caught.value, friendli.RequestTimeoutError)
        assert isinstance(caught.value, TimeoutError)
        assert len(server.requests) <= 1

    @pytest.mark.parametrize("data", [TEXT, b": keep-alive\n\n"], ids=["content", "comments"])
    def test_deadline_covers_the_whole_stream(
        self, serve: Serve, caller: Caller, data: bytes
    ) -> None:
        server = serve(pour(STREAM + chunked(TEXT), chunked(data)))
        outcome = caller.events(server.url, deadline=0.1)
        assert isinstance(outcome.error, friendli.DeadlineExceededError)
        assert outcome.texts[0] == "a"

    def test_deadline_is_sent_unless_the_program_sets_the_header(
        self, serve: Serve, caller: Caller
    ) -> None:
        server = serve(json_answer(completion()))
        own = {"X-Request-Timeout": "7"}
        caller.call(server.url)
        caller.call(server.url, deadline=50)
        caller.call(server.url, client_options={"deadline": 50})
        caller.call(server.url, client_options={"deadline": 50}, deadline=None)
        caller.call(server.url, deadline=50, http_headers=own)
        caller.call(server.url, stall_timeout=50)
        sent = [request.header("x-request-timeout") for request in server.requests]
        assert [value and 0 < float(value) <= 50.001 for value in sent] == [
            None,
            True,
            True,
            None,
            True,
            None,
        ]
        assert sent[4] == "7"

    def test_retries_share_the_deadline(self, serve: Serve, caller: Caller) -> None:
        busy = json_answer({"error": {"message": "busy"}}, 503, retry_after_ms="1")
        server = serve(busy, busy, json_answer(completion()))
        caller.call(server.url, deadline=50)
        first, second, third = (
            float(r.header("x-request-timeout") or "nan") for r in server.requests
        )
        assert first > second > third
        server.answers = [busy.replace(b"retry-after-ms: 1", b"retry-after: 51")]
        with pytest.raises(friendli.ServerError):
            caller.call(server.url, deadline=50)
        assert len(server.requests) == 4

    @pytest.mark.parametrize("wrong", [0, -1, 1_000_001, float("nan"), float("inf"), "5"])
    def test_limits_must_be_in_their_range(self, caller: Caller, wrong: Any) -> None:
        for name in ("deadline", "stall_timeout"):
            message = f"`{name}` must be a number of seconds above 0 and at most 1,000,000"
            with pytest.raises(ValueError, match=message):
                caller.call("http://127.0.0.1:9", **{name: wrong})
            with pytest.raises(ValueError, match=message):
                AsyncFriendli(**{name: wrong})
            with pytest.raises(ValueError, match=message):
                SyncFriendli().with_options(**{name: wrong})

    def test_with_options_changes_and_removes_limits(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        with SyncFriendli("t", server_url=server.url, deadline=50) as client:
            ask(client.with_options(deadline=5, stall_timeout=5, max_response_bytes=10_000))
            ask(client.with_options(deadline=None))
            ask(client.with_options(timeout_ms=1000))
        sent = [request.header("x-request-timeout") for request in server.requests]
        assert [value and float(value) < 6 for value in sent] == [True, None, False]


@pytest.mark.parametrize(
    "limit, error",
    [
        ({"deadline": 0.1}, friendli.DeadlineExceededError),
        ({"stall_timeout": 0.1}, friendli.ResponseStalledError),
    ],
    ids=["deadline", "stall_timeout"],
)
def test_limits_hold_for_other_transports(
    serve: Serve, limit: dict[str, Any], error: type[Exception]
) -> None:
    server = serve(pour(STREAM + chunked(TEXT), chunked(b": keep-alive\n\n")))

    async def main() -> None:
        async with (
            AiohttpClient() as http,
            AsyncFriendli("t", server_url=server.url, async_client=http) as client,
        ):
            stream = await client.dedicated.chat.stream(model="e", messages=MESSAGES, **limit)
            with pytest.raises(error):
                await stream.until_done()

    asyncio.run(main())
