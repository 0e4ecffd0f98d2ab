"""Ownership of the HTTP client; use in threads, forks and event loops."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

import friendli
from friendli import AsyncFriendli, SyncFriendli

from ..conftest import Caller, ask
from ..wire import MESSAGES, Peer, Serve, completion, json_answer, stream_answer, words


class TestOwnership:
    @pytest.mark.parametrize("library", ["httpx2", "httpx", "duck"])
    def test_supplied_client_is_used_and_not_closed(self, serve: Serve, library: str) -> None:
        server = serve(json_answer(completion()), stream_answer(words("a", "b")))

        class Duck:
            def __init__(self) -> None:
                self.inner = httpx2.Client()
                self.is_closed = False

            def build_request(self, *args: Any, **kwargs: Any) -> Any:
                return self.inner.build_request(*args, **kwargs)

            def send(self, request: Any, **kwargs: Any) -> Any:
                request.headers["x-duck"] = "1"
                return self.inner.send(request, **kwargs)

            def close(self) -> None:
                self.is_closed = True

        supplied: Any
        if library == "duck":
            supplied = Duck()
        else:
            supplied = importlib.import_module(library).Client(headers={"x-duck": "1"})
        with SyncFriendli("t", server_url=server.url, client=supplied) as client:
            ask(client)
            stream = client.dedicated.chat.stream(model="e", messages=MESSAGES)
            assert list(stream.text_deltas) == ["a", "b"]
        assert not supplied.is_closed
        assert server.requests[0].header("x-duck") == "1"
        getattr(supplied, "inner", supplied).close()

    def test_timeout_of_a_supplied_client_applies(self, serve: Serve) -> None:
        server = serve(Peer.wait_for_disconnect)
        with httpx2.Client(timeout=0.05) as supplied:
            client = SyncFriendli("t", server_url=server.url, client=supplied, retry_config=None)
            with pytest.raises(friendli.RequestTimeoutError):
                ask(client)

    def test_errors_of_a_supplied_httpx_client_are_converted(self) -> None:
        httpx = importlib.import_module("httpx")
        with httpx.Client() as supplied:
            client = SyncFriendli(
                server_url="http://127.0.0.1:9", client=supplied, retry_config=None
            )
            with pytest.raises(httpx.ConnectError) as caught:
                ask(client)
        assert isinstance(caught.value, friendli.ConnectFailedError)
        assert isinstance(caught.value, httpx2.ConnectError)

    @pytest.mark.parametrize("library", ["httpx2", "httpx"])
    def test_supplied_async_client_is_not_closed(self, serve: Serve, library: str) -> None:
        server = serve(json_answer(completion()))
        http = importlib.import_module(library)

        async def main() -> None:
            async with http.AsyncClient() as supplied:
                async with AsyncFriendli(
                    "t", server_url=server.url, async_client=supplied
                ) as client:
                    await client.dedicated.chat.complete(model="e", messages=MESSAGES)
                assert not supplied.is_closed

        asyncio.run(main())

    def test_objects_without_the_protocol_are_rejected(self) -> None:
        with pytest.raises(TypeError, match="must implement the HttpClient protocol"):
            SyncFriendli(client=object())  # type: ignore[arg-type]
        with pytest.raises(AssertionError, match="must implement the AsyncHttpClient protocol"):
            AsyncFriendli(async_client=httpx2.Client())  # type: ignore[arg-type]

    def test_closed_client_raises_client_closed_error(self, serve: Serve, caller: Caller) -> None:
        url = serve(json_answer(completion())).url
        client = SyncFriendli("t", server_url=url)
        with client as same:
            assert same is client
            ask(client)
        client.close()
        with pytest.raises(friendli.ClientClosedError, match="create a new one"):
            ask(client)

        async def main() -> None:
            async with AsyncFriendli("t", server_url=url) as client:
                await client.dedicated.chat.complete(model="e", messages=MESSAGES)
            await client.aclose()
            with pytest.raises(RuntimeError, match="closed"):
                await client.dedicated.chat.complete(model="e", messages=MESSAGES)

        asyncio.run(main())

    def test_consecutive_calls_share_a_connection(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        with SyncFriendli("t", server_url=server.url) as client:
            for _ in range(5):
                ask(client)
        assert (len(server.requests), server.connections) == (5, 1)


class TestThreadsForksAndLoops:
    def test_client_is_thread_safe(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        with SyncFriendli("t", server_url=server.url) as client, ThreadPoolExecutor(16) as pool:
            gate = threading.Barrier(16)

            def work(_: int) -> str:
                gate.wait(5)
                return str(ask(client).id)

            assert set(pool.map(work, range(16))) == {"chatcmpl-1"}
        assert len(server.requests) == 16

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_forked_child_opens_its_own_connection(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        with SyncFriendli("t", server_url=server.url) as client:
            ask(client)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # fork in a threaded process
                child = multiprocessing.get_context("fork").Process(target=ask, args=(client,))
                child.start()
            child.join(20)
            assert child.exitcode == 0
            ask(client)
        assert (len(server.requests), server.connections) == (3, 2)

    def test_consecutive_event_loops_close_their_connections(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        client = AsyncFriendli("t", server_url=server.url)

        async def work(client: AsyncFriendli) -> str:
            result = await client.dedicated.chat.complete(model="e", messages=MESSAGES)
            return result.id

        assert [asyncio.run(work(client)) for _ in range(2)] == ["chatcmpl-1"] * 2
        server.join()
        assert server._threads == []  # connections are closed with their loop

    def test_concurrent_event_loops_have_their_own_connections(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        meet = threading.Barrier(2)

        async def work() -> None:
            await client.dedicated.chat.complete(model="e", messages=MESSAGES)
            meet.wait(5)
            await client.dedicated.chat.complete(model="e", messages=MESSAGES)

        client = AsyncFriendli("t", server_url=server.url)
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(lambda: asyncio.run(work())) for _ in range(2)]:
                done.result()
        server.join()
        assert server._threads == []
        assert (len(server.requests), server.connections) == (4, 2)

    def test_garbage_collected_client_closes_its_connections(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        client = SyncFriendli("t", server_url=server.url)
        ask(client)
        del client
        server.join()
        assert server._threads == []

    def test_stream_keeps_its_client_alive(self, serve: Serve) -> None:
        server = serve(stream_answer(words("a", "b")))

        def begin() -> Any:
            client = SyncFriendli("t", server_url=server.url)
            return client.dedicated.chat.stream(model="e", messages=MESSAGES)

        assert list(begin().text_deltas) == ["a", "b"]

    def test_concurrent_tasks_share_a_client(self, serve: Serve) -> None:
        server = serve(stream_answer(words("a", "b")))

        async def main() -> list[str]:
            async with AsyncFriendli("t", server_url=server.url) as client:

                async def read_stream() -> str:
                    stream = await client.dedicated.chat.stream(model="e", messages=MESSAGES)
                    return "".join([text async for text in stream.text_deltas])

                return await asyncio.gather(*(read_stream() for _ in range(32)))

        assert asyncio.run(main()) == ["ab"] * 32
