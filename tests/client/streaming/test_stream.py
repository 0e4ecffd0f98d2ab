"""Streams over a real socket: compressed, cut, abandoned."""

from __future__ import annotations

import asyncio
import gc
import gzip
import threading
import time
from typing import Any

import httpx
import httpx2
import pytest

import friendli
from friendli import AsyncFriendli, SyncFriendli

from ..conftest import Caller
from ..wire import (
    DONE,
    MESSAGES,
    STOP,
    A,
    B,
    Peer,
    Serve,
    chunked,
    completion,
    head,
    json_answer,
    stream_answer,
    stream_head,
    words,
)


def test_compressed_stream_is_decoded(serve: Serve, caller: Caller) -> None:
    body = gzip.compress(A + B + STOP + DONE)
    server = serve(stream_answer([body[:20], body[20:]], content_encoding="gzip"))
    assert caller.events(server.url).texts == ["a", "b"]


class TestBodyThatWasRead:
    """Mocks return responses whose body is in memory, and hooks may read it before the client."""

    @pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
    def test_response_of_a_mock_transport_is_a_stream(self, caller: Caller, library: Any) -> None:
        def reply(request: object) -> Any:
            headers = {"content-type": "text/event-stream"}
            return library.Response(200, headers=headers, content=A + B + STOP + DONE)

        kinds = {"client": library.Client, "async_client": library.AsyncClient}
        transport = library.MockTransport(reply)
        clients = {name: kind(transport=transport) for name, kind in kinds.items()}
        outcome = caller.events("http://mocked", client_options=clients)
        assert (outcome.error, outcome.texts) == (None, ["a", "b"])

    @pytest.mark.parametrize("is_compressed", [False, True], ids=["plain", "gzip"])
    def test_hook_may_read_the_body(
        self, serve: Serve, caller: Caller, is_compressed: bool
    ) -> None:
        def read(response: httpx.Response) -> None:
            response.read()

        async def read_async(response: httpx.Response) -> None:
            await response.aread()

        body = [A, B, STOP, DONE]
        headers = {"connection": "close"}  # nobody closes the clients
        if is_compressed:
            headers["content_encoding"] = "gzip"
        sent = [gzip.compress(b"".join(body))] if is_compressed else body
        clients = {
            "client": httpx.Client(event_hooks={"response": [read]}),
            "async_client": httpx.AsyncClient(event_hooks={"response": [read_async]}),
        }
        outcome = caller.events(serve(stream_answer(sent, **headers)).url, client_options=clients)
        assert (outcome.error, outcome.texts) == (None, ["a", "b"])


class TestCut:
    @pytest.mark.parametrize("how", ["close", "reset"])
    def test_cut_connection_raises_network_error(
        self, serve: Serve, caller: Caller, how: str
    ) -> None:
        def cut(peer: Peer) -> None:
            peer.send(stream_head() + chunked(A))
            if how == "reset":
                peer.reset()

        outcome = caller.events(serve(cut).url)
        assert isinstance(outcome.error, friendli.NetworkError)
        assert isinstance(outcome.error, ConnectionError)
        assert outcome.texts == ["a"] or how == "reset"
        assert "/dedicated/v1/chat/completions" in str(outcome.error)

    def test_body_shorter_than_content_length_raises_network_error(
        self, serve: Serve, caller: Caller
    ) -> None:
        def cut(peer: Peer) -> None:
            peer.send(head(200, {"content-type": "text/event-stream", "content-length": "9999"}))
            peer.send(A + STOP)

        assert isinstance(caller.events(serve(cut).url).error, friendli.NetworkError)

    def test_end_without_finish_reason_raises_stream_incomplete_error(
        self, serve: Serve, caller: Caller
    ) -> None:
        outcome = caller.events(serve(stream_answer([A, B])).url)
        assert outcome.texts == ["a", "b"]
        assert isinstance(outcome.error, friendli.StreamIncompleteError)
        assert outcome.error.completion is not None
        assert outcome.error.completion.choices[0].message.content == "ab"

    def test_empty_stream_raises_stream_incomplete_error(
        self, serve: Serve, caller: Caller
    ) -> None:
        outcome = caller.events(serve(stream_answer([])).url)
        assert outcome.events == []
        assert isinstance(outcome.error, friendli.StreamIncompleteError)

    def test_silence_raises_request_timeout_error(self, serve: Serve, caller: Caller) -> None:
        def silent(peer: Peer) -> None:
            peer.send(stream_head() + chunked(A))
            peer.wait_for_disconnect()

        outcome = caller.events(serve(silent).url, timeout_ms=60)
        assert outcome.texts == ["a"]
        assert isinstance(outcome.error, friendli.RequestTimeoutError)
        assert isinstance(outcome.error, TimeoutError)


class EndlessStream:
    """A stream that never ends; `disconnected` is set when the client disconnects."""

    def __init__(self) -> None:
        self.disconnected = threading.Event()

    def __call__(self, peer: Peer) -> None:
        peer.send(stream_head() + chunked(A) + chunked(B))
        if peer.wait_for_disconnect():
            self.disconnected.set()


class TestConnectionRelease:
    def test_break_releases_the_connection(self, serve: Serve, caller: Caller) -> None:
        endless = EndlessStream()
        assert caller.events(serve(endless).url, 1).texts == ["a"]
        assert endless.disconnected.wait(5)

    def test_stream_ends_at_done_while_the_connection_stays_open(
        self, serve: Serve, caller: Caller
    ) -> None:
        def keep_open(peer: Peer) -> None:
            peer.send(stream_head() + chunked(A + STOP + DONE))
            peer.wait_for_disconnect()

        start = time.monotonic()
        assert caller.events(serve(keep_open).url).final.choices[0].message.content == "a"
        assert time.monotonic() - start < 5

    def test_exception_in_the_block_releases_the_connection(self, serve: Serve) -> None:
        endless = EndlessStream()
        with SyncFriendli("t", server_url=serve(endless).url) as client:
            with (
                pytest.raises(ZeroDivisionError),
                client.dedicated.chat.stream(model="e", messages=MESSAGES) as stream,
            ):
                next(stream)
                raise ZeroDivisionError
            assert endless.disconnected.wait(5)

    @pytest.mark.parametrize("started", [True, False])
    def test_garbage_collection_releases_the_connection(self, serve: Serve, started: bool) -> None:
        endless = EndlessStream()
        with SyncFriendli("t", server_url=serve(endless).url) as client:
            stream = client.dedicated.chat.stream(model="e", messages=MESSAGES)
            if started:
                next(stream)
            del stream
            gc.collect()
            assert endless.disconnected.wait(5)

    @pytest.mark.parametrize("started", [True, False])
    def test_garbage_collection_releases_the_async_connection(
        self, serve: Serve, started: bool
    ) -> None:
        endless = EndlessStream()

        async def main() -> None:
            async with AsyncFriendli("t", server_url=serve(endless).url) as client:
                stream = await client.dedicated.chat.stream(model="e", messages=MESSAGES)
                if started:
                    await anext(stream)
                del stream
                gc.collect()
                assert await asyncio.to_thread(endless.disconnected.wait, 5)

        asyncio.run(main())

    def test_garbage_collection_in_another_thread_releases_the_connection(
        self, serve: Serve
    ) -> None:
        endless = EndlessStream()

        async def main() -> None:
            async with AsyncFriendli("t", server_url=serve(endless).url) as client:
                held = [await client.dedicated.chat.stream(model="e", messages=MESSAGES)]
                await anext(held[0])
                await asyncio.to_thread(held.clear)
                gc.collect()
                assert await asyncio.to_thread(endless.disconnected.wait, 5)

        asyncio.run(main())

    def test_cancellation_releases_the_connection(self, serve: Serve) -> None:
        endless = EndlessStream()

        async def main() -> None:
            async with AsyncFriendli("t", server_url=serve(endless).url) as client:
                reading = asyncio.Event()

                async def read() -> None:
                    async for _ in await client.dedicated.chat.stream(model="e", messages=MESSAGES):
                        reading.set()

                task = asyncio.create_task(read())
                await reading.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await asyncio.to_thread(endless.disconnected.wait, 5)

        asyncio.run(main())

    def test_close_releases_the_connection_and_ends_iteration(self, serve: Serve) -> None:
        endless = EndlessStream()
        with SyncFriendli("t", server_url=serve(endless).url) as client:
            stream = client.dedicated.chat.stream(model="e", messages=MESSAGES)
            assert next(stream).data.choices[0].delta.content == "a"
            stream.close()
            stream.close()
            assert endless.disconnected.wait(5)
            assert list(stream) == []


class TestHelpers:
    def test_sync_helpers(self, serve: Serve) -> None:
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

    def test_async_helpers(self, serve: Serve) -> None:
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


def test_response_of_the_wrong_kind_raises_unexpected_response_error(
    serve: Serve, caller: Caller
) -> None:
    with pytest.raises(friendli.UnexpectedResponseError, match="Unexpected response received"):
        caller.call(serve(json_answer(completion())).url, "stream")
    with pytest.raises(friendli.UnexpectedResponseError, match="Unexpected response received"):
        caller.call(serve(stream_answer(words("a"))).url, "complete")
