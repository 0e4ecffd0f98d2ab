"""Retries over a socket, by the configuration of the client and of the call."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import friendli
from friendli import AsyncFriendli, BackoffStrategy, RetryConfig, SyncFriendli
from friendli._transport.network import ConnectFailedError, NetworkError, RequestTimeoutError

from ..conftest import Caller
from ..wire import (
    MESSAGES,
    Peer,
    Serve,
    answer,
    completion,
    json_answer,
    stream_answer,
    stream_head,
    words,
)

FAST = RetryConfig("backoff", BackoffStrategy(1, 20, 1.5, 60_000), True)


def test_configurations_show_what_they_hold() -> None:
    assert repr(FAST) == (
        "RetryConfig('backoff', BackoffStrategy(1, 20, 1.5, 60000, jitter_ms=None), True, "
        "status_codes_override=None)"
    )


class TestOnTheWire:
    @pytest.mark.parametrize("method", ["complete", "stream"])
    def test_again_until_it_works(self, serve: Serve, caller: Caller, method: str) -> None:
        good = json_answer(completion()) if method == "complete" else stream_answer(words("a"))
        server = serve(answer(b"{}", 503), answer(b"", 429, retry_after_ms="5"), good)
        caller.call(server.url, method, retries=FAST)
        assert len(server.requests) == 3
        assert len({request.body for request in server.requests}) == 1

    def test_the_wish_of_the_server_is_waited_for(self, serve: Serve, caller: Caller) -> None:
        server = serve(answer(b"", 429, retry_after="0.3"), json_answer(completion()))
        start = time.monotonic()
        caller.call(server.url, retries=FAST)
        assert time.monotonic() - start >= 0.3

    def test_per_call_wins_and_none_is_off(self, serve: Serve, caller: Caller) -> None:
        server = serve(answer(b"", 503))
        with pytest.raises(friendli.ServerError):
            caller.call(server.url, client_options={"retry_config": FAST}, retries=None)
        assert len(server.requests) == 1
        with pytest.raises(friendli.ServerError):
            caller.call(server.url, client_options={"retry_config": None})
        assert len(server.requests) == 2

    def test_connection_cut_before_the_answer(self, serve: Serve, caller: Caller) -> None:
        server = serve(Peer.reset, lambda peer: None, json_answer(completion()))
        caller.call(server.url, retries=FAST)
        assert len(server.requests) == 3

    def test_no_retry_once_a_stream_has_begun(self, serve: Serve, caller: Caller) -> None:
        def begins(peer: Peer) -> None:
            peer.send(stream_head())

        server = serve(begins)
        assert isinstance(caller.events(server.url, retries=FAST).error, NetworkError)
        assert len(server.requests) == 1

    def test_read_timeouts(self, serve: Serve, caller: Caller) -> None:
        server = serve(Peer.wait_for_disconnect, json_answer(completion()))
        with pytest.raises(RequestTimeoutError):
            caller.call(server.url, timeout_ms=50)
        assert len(server.requests) == 1
        server = serve(Peer.wait_for_disconnect, json_answer(completion()))
        caller.call(server.url, timeout_ms=300, retries=FAST)
        assert len(server.requests) == 2

    def test_retried_streams_give_their_connection_back(self, serve: Serve, caller: Caller) -> None:
        import httpx2

        server = serve(*[answer(b"x" * 100_000, 503)] * 8, stream_answer(words("a")))
        own: dict[str, Any] = {
            "limits": httpx2.Limits(max_connections=1),
            "timeout": httpx2.Timeout(2.0),
        }

        async def main() -> list[str]:
            async with httpx2.AsyncClient(**own) as http:
                client = AsyncFriendli("t", server_url=server.url, async_client=http)
                chat = client.dedicated.chat
                stream = await chat.stream(model="e", messages=MESSAGES, retries=FAST)
                return [text async for text in stream.text_deltas]

        if caller.name == "sync":
            with httpx2.Client(**own) as http:
                client = SyncFriendli("t", server_url=server.url, client=http)
                chat = client.dedicated.chat
                stream = chat.stream(model="e", messages=MESSAGES, retries=FAST)
                texts = list(stream.text_deltas)
        else:
            texts = asyncio.run(main())
        assert texts == ["a"]
        assert len(server.requests) == 9

    def test_nobody_there(self, caller: Caller) -> None:
        quick = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 20), True)
        with pytest.raises(ConnectFailedError):
            caller.call("http://127.0.0.1:9", retries=quick)
