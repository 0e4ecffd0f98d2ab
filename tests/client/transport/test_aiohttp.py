from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import friendli
from friendli import AiohttpClient, AsyncFriendli

from ..wire import (
    MESSAGES,
    Peer,
    Serve,
    answer,
    chunk,
    chunked,
    completion,
    event,
    json_answer,
    stream_answer,
    stream_head,
    words,
)


def on_aiohttp(url: str, work: Callable[[Any], Any], token: str = "t", **options: Any) -> Any:
    async def main() -> Any:
        async with (
            AiohttpClient() as http,
            AsyncFriendli(token, server_url=url, async_client=http, **options) as client,
        ):
            return await work(client.dedicated.chat)

    return asyncio.run(main())


async def complete(chat: Any, **arguments: Any) -> Any:
    return await chat.complete(model="e", messages=MESSAGES, **arguments)


async def read(chat: Any) -> list[str]:
    stream = await chat.stream(model="e", messages=MESSAGES)
    return [text async for text in stream.text_deltas]


def test_completions_are_returned(serve: Serve) -> None:
    body = gzip.compress(json.dumps(completion("é")).encode())
    server = serve(json_answer(completion("a")), answer(body, content_encoding="gzip"))
    assert on_aiohttp(server.url, complete).choices[0].message.content == "a"
    assert on_aiohttp(server.url, complete).choices[0].message.content == "é"
    [request, _] = server.requests
    assert request.header("user-agent") == f"friendli-dedicated/python {friendli.VERSION}"
    assert request.header("authorization") == "Bearer t"
    assert request.header("accept") == "application/json"
    assert request.json["messages"] == MESSAGES


def test_concurrent_streams_are_read(serve: Serve) -> None:
    server = serve(stream_answer(words("a", "b")))

    async def many(chat: Any) -> list[list[str]]:
        return await asyncio.gather(*(read(chat) for _ in range(50)))

    assert on_aiohttp(server.url, many) == [["a", "b"]] * 50


def test_errors_are_converted(serve: Serve) -> None:
    with pytest.raises(friendli.ConnectFailedError):
        on_aiohttp("http://127.0.0.1:9", complete, retry_config=None)
    with pytest.raises(friendli.NotFoundError):
        on_aiohttp(serve(json_answer({}, 404)).url, complete)
    with pytest.raises(friendli.RequestTimeoutError):
        on_aiohttp(serve(Peer.wait_for_disconnect).url, complete, timeout_ms=50)
    with pytest.raises(friendli.NetworkError):
        on_aiohttp(serve(lambda peer: None).url, complete, retry_config=None)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_cut_stream_raises_network_error(serve: Serve, how: str) -> None:
    def cut(peer: Peer) -> None:
        peer.send(stream_head() + chunked(event(chunk({"content": "a"}))))
        if how == "reset":
            peer.reset()

    with pytest.raises(friendli.NetworkError):
        on_aiohttp(serve(cut).url, read)


def test_abandoned_stream_releases_its_connection(serve: Serve) -> None:
    left = []

    def endless(peer: Peer) -> None:
        peer.send(stream_head() + chunked(event(chunk({"content": "a"}))))
        left.append(peer.wait_for_disconnect())

    async def leave(chat: Any) -> None:
        async with await chat.stream(model="e", messages=MESSAGES) as stream:
            await anext(stream)

    server = serve(endless)
    on_aiohttp(server.url, leave)
    server.join()
    assert left == [True]


class TestAsTheDefaultTransport:
    """Proxies and user names in URLs."""

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
    def test_proxies_of_the_environment_are_used(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        proxy = serve(json_answer(completion()))
        monkeypatch.setenv(variable, proxy.url.replace("http://", "http://user:pw@"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        on_aiohttp("http://nowhere.invalid", complete)
        [request] = proxy.requests
        assert request.line.startswith("POST http://nowhere.invalid/dedicated/v1/chat/completions")
        assert request.header("proxy-authorization") == "Basic dXNlcjpwdw=="
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        server = serve(json_answer(completion()))
        on_aiohttp(server.url, complete)
        assert len(server.requests) == 1

    def test_wrong_proxy_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "ftp://127.0.0.1:1")
        with pytest.raises(friendli.ConfigurationError, match="HTTP_PROXY cannot be used"):
            on_aiohttp("http://nowhere.invalid", complete)

    @pytest.mark.parametrize("token", ["t", ""])
    def test_user_name_in_the_url(self, serve: Serve, token: str) -> None:
        server = serve(json_answer(completion()))
        url = server.url.replace("http://", "http://user:pw@")

        async def both() -> None:
            for supplied in (AiohttpClient(), None):
                async with AsyncFriendli(token, server_url=url, async_client=supplied) as client:
                    await client.dedicated.chat.complete(model="e", messages=MESSAGES)
                if supplied is not None:
                    await supplied.aclose()

        asyncio.run(both())
        with_aiohttp, default = server.requests
        assert with_aiohttp.header("authorization") == default.header("authorization")
        assert with_aiohttp.line == default.line

    def test_netrc_is_not_read(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password pw")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        server = serve(json_answer(completion()))
        on_aiohttp(server.url, complete, token="")
        assert server.requests[0].header("authorization") is None
