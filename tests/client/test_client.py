"""Options of a client, ownership of its connections, and the places it may be used from."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import multiprocessing
import os
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
import trustme

import friendli
from friendli import AsyncFriendli, RetryConfig, SyncFriendli

from .conftest import Async, Sync
from .wire import MESSAGES, Peer, Server, answer, completion, json_answer, stream_answer, words

Way = Sync | Async
Serve = Callable[..., Server]


def ask(client: SyncFriendli, **given: Any) -> Any:
    return client.dedicated.chat.complete(model="e", messages=MESSAGES, **given)


class TestToken:
    @pytest.mark.parametrize(
        "token, header",
        [
            ("t", "Bearer t"),
            ("Bearer t", "Bearer t"),
            ("bEARER  t", "Bearer t"),
            ("t\n", "Bearer t"),
            ("", None),
            ("  ", None),
            (None, None),
            (lambda: "t", "Bearer t"),
        ],
    )
    def test_header(self, serve: Serve, way: Way, token: Any, header: str | None) -> None:
        server = serve(json_answer(completion()))
        way.call(server.url, token=token)
        assert server.requests[0].header("authorization") == header

    def test_from_the_environment(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        server = serve(json_answer(completion()))
        monkeypatch.setenv("FRIENDLI_TOKEN", "env")
        monkeypatch.setenv("FRIENDLI_BASE_URL", server.url)
        with SyncFriendli() as client:
            ask(client)
        with SyncFriendli(token="") as client:
            ask(client)
        assert [r.header("authorization") for r in server.requests] == ["Bearer env", None]

    def test_callable_is_asked_once_a_call(self, serve: Serve) -> None:
        server = serve(answer(b"", 503, retry_after_ms="1"), json_answer(completion()))
        asked = []

        def token() -> str:
            asked.append(1)
            return "t"

        with SyncFriendli(token, server_url=server.url) as client:
            ask(client)
            ask(client)
        assert len(server.requests) == 3 and len(asked) == 2


class TestServer:
    @pytest.mark.parametrize("tail", ["", "/"])
    def test_prefix_is_kept(self, serve: Serve, way: Way, tail: str) -> None:
        server = serve(json_answer(completion()))
        way.call(f"{server.url}/a/b{tail}")
        way.call("http://127.0.0.1:9", server_url=f"{server.url}{tail}")
        way.call(f"{server.url}{tail}?key=1")
        path = "/dedicated/v1/chat/completions"
        assert [r.line.split()[1] for r in server.requests] == [
            "/a/b" + path,
            path,
            path + "?key=1",
        ]

    def test_url_params(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        url = server.url.replace("127.0.0.1", "{host}")
        with SyncFriendli("t", server_url=url, url_params={"host": "127.0.0.1"}) as client:
            ask(client)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://", "//x"])
    def test_nonsense_is_refused_at_once(self, url: str) -> None:
        with pytest.raises(ValueError, match="server_url must look like"):
            SyncFriendli(server_url=url)

    def test_default(self) -> None:
        assert SyncFriendli().config.server_url == "https://api.friendli.ai"
        assert SyncFriendli(None, 0).config.server_url == "https://api.friendli.ai"
        with pytest.raises(ValueError, match="server_idx"):
            SyncFriendli(server_idx=1)

    def test_redirects_that_keep_the_method_are_followed(self, serve: Serve, way: Way) -> None:
        target = serve(json_answer(completion()))
        server = serve(answer(b"", 307, location=target.url + "/x"))
        way.call(server.url)
        assert target.requests[0].json["model"] == "e"
        assert target.requests[0].header("authorization") is None  # another origin


class TestTLS:
    """A client for a plain http address loads no certificates until it needs them."""

    @pytest.fixture
    def tls_url(self) -> Iterator[str]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(0.1)
            over = threading.Event()

            def accept() -> None:
                while not over.is_set():
                    with contextlib.suppress(OSError):
                        sock, _ = listener.accept()
                        with sock, context.wrap_socket(sock, server_side=True) as secure:
                            secure.recv(65536)
                            secure.sendall(json_answer(completion()))

            thread = threading.Thread(target=accept)
            thread.start()
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
            over.set()
            thread.join()

    @pytest.mark.parametrize("plain", [True, False])
    def test_a_certificate_nobody_vouches_for_is_refused(
        self, way: Way, tls_url: str, plain: bool
    ) -> None:
        base = "http://127.0.0.1:9" if plain else tls_url
        with pytest.raises(friendli.ConnectFailedError, match="CERTIFICATE_VERIFY_FAILED"):
            way.call(base, server_url=tls_url, retries=None)

    def test_a_redirect_to_it_is_refused_too(self, serve: Serve, way: Way, tls_url: str) -> None:
        server = serve(answer(b"", 307, location=tls_url + "/"))
        with pytest.raises(friendli.ConnectFailedError, match="CERTIFICATE_VERIFY_FAILED"):
            way.call(server.url, retries=None)


class TestOwnership:
    @pytest.mark.parametrize("library", ["httpx2", "httpx", "duck"])
    def test_a_given_client_is_used_and_left_open(self, serve: Serve, library: str) -> None:
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

        given: Any
        if library == "duck":
            given = Duck()
        else:
            given = importlib.import_module(library).Client(headers={"x-duck": "1"})
        with SyncFriendli("t", server_url=server.url, client=given) as client:
            ask(client)
            stream = client.dedicated.chat.stream(model="e", messages=MESSAGES)
            assert list(stream.text_deltas) == ["a", "b"]
        assert not given.is_closed
        assert server.requests[0].header("x-duck") == "1"
        getattr(given, "inner", given).close()

    def test_its_own_timeout_holds(self, serve: Serve) -> None:
        server = serve(Peer.wait_until_left)
        with httpx2.Client(timeout=0.05) as given:
            client = SyncFriendli("t", server_url=server.url, client=given, retry_config=None)
            with pytest.raises(friendli.RequestTimeoutError):
                ask(client)

    def test_errors_of_a_given_httpx_client(self) -> None:
        httpx = importlib.import_module("httpx")
        with httpx.Client() as given:
            client = SyncFriendli(server_url="http://127.0.0.1:9", client=given, retry_config=None)
            with pytest.raises(httpx.ConnectError) as caught:
                ask(client)
        assert isinstance(caught.value, friendli.ConnectFailedError)
        assert isinstance(caught.value, httpx2.ConnectError)

    @pytest.mark.parametrize("library", ["httpx2", "httpx"])
    def test_async(self, serve: Serve, library: str) -> None:
        server = serve(json_answer(completion()))
        http = importlib.import_module(library)

        async def main() -> None:
            async with http.AsyncClient() as given:
                async with AsyncFriendli("t", server_url=server.url, async_client=given) as client:
                    await client.dedicated.chat.complete(model="e", messages=MESSAGES)
                assert not given.is_closed

        asyncio.run(main())

    def test_what_is_no_client_is_refused(self) -> None:
        with pytest.raises(TypeError, match="must implement the HttpClient protocol"):
            SyncFriendli(client=object())  # type: ignore[arg-type]
        with pytest.raises(AssertionError, match="must implement the AsyncHttpClient protocol"):
            AsyncFriendli(async_client=httpx2.Client())  # type: ignore[arg-type]

    def test_closed(self, serve: Serve, way: Way) -> None:
        url = serve(json_answer(completion())).url
        client = SyncFriendli("t", server_url=url)
        with client as same:
            assert same is client
            ask(client)
        client.close()
        with pytest.raises(friendli.ClientClosedError, match="make a new one"):
            ask(client)

        async def main() -> None:
            async with AsyncFriendli("t", server_url=url) as other:
                await other.dedicated.chat.complete(model="e", messages=MESSAGES)
            await other.aclose()
            with pytest.raises(RuntimeError, match="closed"):
                await other.dedicated.chat.complete(model="e", messages=MESSAGES)

        asyncio.run(main())

    def test_one_connection_serves_many_calls(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        with SyncFriendli("t", server_url=server.url) as client:
            for _ in range(5):
                ask(client)
        assert (len(server.requests), server.connections) == (5, 1)


class TestWithOptions:
    def test_changes_on_the_same_connections(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        with SyncFriendli("t", server_url=server.url, http_headers={"x-a": "1"}) as client:
            ask(client)
            other = client.with_options(
                token="u",
                server_url=server.url + "/p",
                x_friendli_team="team",
                retries=None,
                timeout_ms=5000,
                http_headers={"x-b": "2"},
            )
            ask(other)
            other.close()
            ask(client)
        assert server.connections == 1
        first, second, third = server.requests
        assert second.header("authorization") == "Bearer u"
        assert second.line.startswith("POST /p/dedicated")
        assert second.header("x-friendli-team") == "team"
        assert (second.header("x-a"), second.header("x-b")) == ("1", "2")
        assert first.headers == third.headers
        assert (other.config.timeout_ms, client.config.timeout_ms) == (5000, None)

    def test_unknown(self) -> None:
        with pytest.raises(TypeError, match="'tokn'"):
            SyncFriendli().with_options(tokn="x")  # type: ignore[call-arg]


class TestNames:
    def test_what_is_not_covered_says_so(self) -> None:
        client: Any = SyncFriendli()
        for name in ("serverless", "container", "dataset", "file"):
            with pytest.raises(friendli.NotCoveredError, match=r"covers dedicated\.chat"):
                getattr(client, name)
            assert not hasattr(client, name)
        with pytest.raises(AttributeError, match=r"dedicated\.completions is not part of it"):
            _ = client.dedicated.completions
        with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
            _ = client.nonsense

    def test_chat_is_one_object(self) -> None:
        client = SyncFriendli()
        assert client.dedicated.chat is client.dedicated.chat
        assert client.core is client

    def test_options_of_the_published_client(self) -> None:
        from friendli.utils import BackoffStrategy

        config = RetryConfig("backoff", BackoffStrategy(1, 2, 3, 4), False)
        client = SyncFriendli("t", 0, "http://x", {}, None, None, config, 5, None)
        assert client.config.retries is config and client.config.timeout_ms == 5
        assert SyncFriendli("t", retries=config, x_friendli_team="a").config.retries is config
        with pytest.warns(UserWarning, match="ignores the option 'nonsense'"):
            SyncFriendli(nonsense=1)

    def test_all_exported_names_exist(self) -> None:
        for name in friendli.__all__:
            assert getattr(friendli, name) is not None
            assert name in dir(friendli)
        with pytest.raises(AttributeError):
            _ = friendli.nonsense

    def test_paths_of_the_published_client(self) -> None:
        program = """
            from friendli.core import models as a
            from friendli.core.models import SDKError, ContainerChatCompleteSuccess
            from friendli.models import ServerlessChatCompleteSuccess, StreamedChatResult
            from friendli.core.types import UNSET
            from friendli.core.utils import BackoffStrategy, RetryConfig
            from friendli.core.utils.eventstreaming import EventStream, EventStreamAsync
            from friendli.core.utils.retries import RetryConfig as R
            from friendli.config import Config
            from friendli.friendli import SyncFriendli
            from friendli.httpclient import AsyncHttpClient, HttpClient
            assert R is RetryConfig
            assert ServerlessChatCompleteSuccess is ContainerChatCompleteSuccess
        """
        exec(textwrap.dedent(program), {})


class TestPlaces:
    def test_many_threads(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        with SyncFriendli("t", server_url=server.url) as client, ThreadPoolExecutor(16) as pool:
            gate = threading.Barrier(16)

            def work(_: int) -> str:
                gate.wait(5)
                return str(ask(client).id)

            assert set(pool.map(work, range(16))) == {"chatcmpl-1"}
        assert len(server.requests) == 16

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_after_fork(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        with SyncFriendli("t", server_url=server.url) as client:
            ask(client)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
                child = multiprocessing.get_context("fork").Process(target=ask, args=(client,))
                child.start()
            child.join(20)
            assert child.exitcode == 0
            ask(client)
        assert (len(server.requests), server.connections) == (3, 2)

    def test_two_event_loops_one_after_the_other(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        client = AsyncFriendli("t", server_url=server.url)

        async def work(client: AsyncFriendli) -> str:
            result = await client.dedicated.chat.complete(model="e", messages=MESSAGES)
            return result.id

        assert [asyncio.run(work(client)) for _ in range(2)] == ["chatcmpl-1"] * 2
        server.join()
        assert server._threads == []  # connections end with their loop

    def test_two_event_loops_at_once(self, serve: Serve) -> None:
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

    def test_a_client_that_is_dropped_closes_its_connections(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        client = SyncFriendli("t", server_url=server.url)
        ask(client)
        del client
        server.join()
        assert server._threads == []

    def test_a_stream_outlives_the_name_of_its_client(self, serve: Serve) -> None:
        server = serve(stream_answer(words("a", "b")))

        def begin() -> Any:
            client = SyncFriendli("t", server_url=server.url)
            return client.dedicated.chat.stream(model="e", messages=MESSAGES)

        assert list(begin().text_deltas) == ["a", "b"]

    def test_many_tasks(self, serve: Serve) -> None:
        server = serve(stream_answer(words("a", "b")))

        async def main() -> list[str]:
            async with AsyncFriendli("t", server_url=server.url) as client:

                async def one() -> str:
                    stream = await client.dedicated.chat.stream(model="e", messages=MESSAGES)
                    return "".join([text async for text in stream.text_deltas])

                return await asyncio.gather(*(one() for _ in range(32)))

        assert asyncio.run(main()) == ["ab"] * 32


def run(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


class TestImport:
    def test_is_silent_and_brings_no_http(self) -> None:
        program = """
            import sys
            import friendli
            assert not {"httpx2", "httpx", "pydantic", "asyncio", "ssl"} & set(sys.modules)
            client = friendli.SyncFriendli("t"), friendli.AsyncFriendli("t")
            assert not {"httpx2", "httpx", "anyio", "h11", "asyncio"} & set(sys.modules)
        """
        assert run(program) == ""


COMPLETE = """
    import os

    from friendli import SyncFriendli

    with SyncFriendli(
        token=os.getenv("FRIENDLI_TOKEN", ""),
    ) as friendli:
        res = friendli.dedicated.chat.complete(
            model="(endpoint-id)",
            messages=[
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Hello!"},
            ],
            max_tokens=200,
        )
        print(res)
"""
STREAM = """
    import os

    from friendli import SyncFriendli

    with SyncFriendli(
        token=os.getenv("FRIENDLI_TOKEN", ""),
    ) as friendli:
        res = friendli.dedicated.chat.stream(
            model="(endpoint-id)",
            messages=[
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Hello!"},
            ],
            max_tokens=200,
        )
        with res as event_stream:
            for event in event_stream:
                print(event, flush=True)
"""
ASYNC_STREAM = """
    import asyncio, os

    from friendli import AsyncFriendli

    async def main():
        async with AsyncFriendli(token=os.getenv("FRIENDLI_TOKEN", "")) as friendli:
            res = await friendli.dedicated.chat.stream(
                model="(endpoint-id)",
                messages=[{"role": "user", "content": "Hello!"}],
                max_tokens=200,
            )
            async with res as event_stream:
                async for event in event_stream:
                    print(event, flush=True)

    asyncio.run(main())
"""


@pytest.mark.parametrize(
    "program, reply, begins",
    [
        (COMPLETE, json_answer(completion()), "id='chatcmpl-1' choices=[ChatChoice(index=0,"),
        (STREAM, stream_answer(words("a")), "data=StreamedChatData(id='chatcmpl-1', choices=["),
        (ASYNC_STREAM, stream_answer(words("a")), "data=StreamedChatData(id='chatcmpl-1'"),
    ],
    ids=["complete", "stream", "async stream"],
)
def test_the_programs_of_the_page(serve: Serve, program: str, reply: bytes, begins: str) -> None:
    server = serve(reply)
    assert run(program, FRIENDLI_BASE_URL=server.url, FRIENDLI_TOKEN="").startswith(begins)
    assert server.requests[0].header("authorization") is None
    assert server.requests[0].json["max_tokens"] == 200
