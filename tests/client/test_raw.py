from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio

from friendli import AsyncFriendli, SyncFriendli

from .wire import (
    MESSAGES,
    Peer,
    Serve,
    chunk,
    chunked,
    completion,
    event,
    json_answer,
    stream_answer,
    stream_head,
    words,
)


def test_raw_response_has_status_headers_and_the_parsed_answer(serve: Serve) -> None:
    server = serve(json_answer(completion(), x_request_id="r"), stream_answer(words("a", "b")))
    with SyncFriendli("t", server_url=server.url) as client:
        chat = client.dedicated.chat.with_raw_response
        raw = chat.complete(model="e", messages=MESSAGES)
        assert (raw.status_code, raw.request_id, raw.headers["Content-Type"]) == (
            200,
            "r",
            "application/json",
        )
        assert raw.parse() is raw.parse()
        assert raw.parse().model_dump() == completion()
        with chat.stream(model="e", messages=MESSAGES).parse() as stream:
            assert list(stream.text_deltas) == ["a", "b"]


def endless(peer: Peer) -> None:
    peer.send(stream_head() + chunked(event(chunk({"content": "a"}))))
    peer.wait_for_disconnect()


def test_dropped_raw_stream_gives_its_connection_back(serve: Serve) -> None:
    server = serve(endless)
    with SyncFriendli("t", server_url=server.url) as client:
        raw = client.dedicated.chat.with_raw_response.stream(model="e", messages=MESSAGES)
        assert raw.status_code == 200
        del raw
        gc.collect()
        server.join()
        assert server._threads == []


@pytest.mark.parametrize("run", [asyncio.run, trio.run], ids=["asyncio", "trio"])
def test_dropped_async_raw_stream_gives_its_connection_back(
    serve: Serve, run: Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
) -> None:
    server = serve(endless)
    is_trio = run is trio.run

    async def main() -> None:
        async with AsyncFriendli("t", server_url=server.url) as client:
            await client.dedicated.chat.with_raw_response.stream(model="e", messages=MESSAGES)
            gc.collect()
            if is_trio:
                await trio.to_thread.run_sync(server.join)
            else:
                await asyncio.to_thread(server.join)

    run(main) if is_trio else asyncio.run(main())
    assert server._threads == []


def test_stream_that_the_program_took_stays_open(serve: Serve) -> None:
    server = serve(stream_answer(words("a")))
    with SyncFriendli("t", server_url=server.url) as client:
        chat = client.dedicated.chat.with_raw_response
        response = chat.stream(model="e", messages=MESSAGES).http_response
        gc.collect()
        assert b"[DONE]" in response.read()
        stream = chat.stream(model="e", messages=MESSAGES).parse()
        gc.collect()
        assert list(stream.text_deltas) == ["a"]
