"""Retries over a socket, as configured in the client and in the call."""

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


def test_repr_shows_the_configuration() -> None:
    assert repr(FAST) == (
        "RetryConfig('backoff', BackoffStrategy(1, 20, 1.5, 60000, jitter_ms=None), True, "
        "status_codes_override=None)"
    )


class TestOnTheWire:
    @pytest.mark.parametrize("method", ["complete", "stream"])
    def test_call_is_retried_until_it_succeeds(
        self, serve: Serve, caller: Caller, method: str
    ) -> None:
        good = json_answer(completion()) if method == "complete" else stream_answer(words("a"))
        server = serve(answer(b"{}", 503), answer(b"", 429, retry_after_ms="5"), good)
        caller.call(server.url, method, retries=FAST)
        assert len(server.requests) == 3
        assert len({request.body for request in server.requests}) == 1

    def test_retry_after_is_waited_for(self, serve: Serve, caller: Caller) -> None:
        server = serve(answer(b"", 429, retry_after="0.3"), json_answer(completion()))
        start = time.monotonic()
        caller.call(server.url, retries=FAST)
        assert time.monotonic() - start >= 0.3

    def test_retries_of_the_call_override_those_of_the_client(
        self, serve: Serve, caller: Caller
    ) -> None:
        server = serve(answer(b"", 503))
        with pytest.raises(friendli.ServerError):
            caller.call(server.url, client_options={"retry_config": FAST}, retries=None)
        assert len(server.requests) == 1
        with pytest.raises(friendli.ServerError):
            caller.call(server.url, client_options={"retry_config": None})
        assert len(server.requests) == 2

    def test_cut_connections_are_retried(self, serve: Serve, caller: Caller) -> None:
        server = serve(Peer.reset, lambda peer: None, json_answer(completion()))
        caller.call(server.url, retries=FAST)
        assert len(server.requests) == 3

    def test_stream_is_not_retried_after_its_headers(self, serve: Serve, caller: Caller) -> None:
        def send_headers(peer: Peer) -> None:
            peer.send(stream_head())

        server = serve(send_headers)
        assert isinstance(caller.events(server.url, retries=FAST).error, NetworkError)
        assert len(server.requests) == 1

    def test_read_timeouts_are_retried_only_if_configured(
        self, serve: Serve, caller: Caller
    ) -> None:
        server = serve(Peer.wait_for_disconnect, json_answer(completion()))
        with pytest.raises(RequestTimeoutError):
            caller.call(server.url, timeout_ms=50)
        assert len(server.requests) == 1
        server = serve(Peer.wait_for_disconnect, json_answer(completion()))
        caller.call(server.url, timeout_ms=300, retries=FAST)
        assert len(server.requests) == 2

    def test_retried_streams_release_their_connections(self, serve: Serve, caller: Caller) -> None:
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

    def test_failed_connections_raise_after_the_retries(self, caller: Caller) -> None:
        quick = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 20), True)
        with pytest.raises(ConnectFailedError):
            caller.call("http://127.0.0.1:9", retries=quick)
