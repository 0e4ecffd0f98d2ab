"""Options and names of a client, and the programs of the reference page."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import Any

import pytest

import friendli
from friendli import RetryConfig, SyncFriendli

from .conftest import ask
from .wire import Serve, completion, json_answer, stream_answer, words


class TestWithOptions:
    def test_changed_client_shares_the_connections(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        with SyncFriendli("t", server_url=server.url, http_headers={"x-a": "1"}) as client:
            ask(client)
            changed = client.with_options(
                token="u",
                server_url=server.url + "/p",
                x_friendli_team="team",
                retries=None,
                timeout_ms=5000,
                http_headers={"x-b": "2"},
            )
            ask(changed)
            changed.close()
            ask(client)
        assert server.connections == 1
        first, second, third = server.requests
        assert second.header("authorization") == "Bearer u"
        assert second.line.startswith("POST /p/dedicated")
        assert second.header("x-friendli-team") == "team"
        assert (second.header("x-a"), second.header("x-b")) == ("1", "2")
        assert first.headers == third.headers
        assert (changed.config.timeout_ms, client.config.timeout_ms) == (5000, None)

    def test_unknown_option_raises_type_error(self) -> None:
        with pytest.raises(TypeError, match="'tokn'"):
            SyncFriendli().with_options(tokn="x")  # type: ignore[call-arg]


class TestNames:
    def test_uncovered_attributes_raise_not_covered_error(self) -> None:
        client: Any = SyncFriendli()
        for name in ("serverless", "container", "dataset", "file"):
            with pytest.raises(friendli.NotCoveredError, match=r"covers dedicated\.chat"):
                getattr(client, name)
            assert not hasattr(client, name)
        with pytest.raises(AttributeError, match=r"dedicated\.completions is not part of it"):
            _ = client.dedicated.completions
        with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
            _ = client.nonsense

    def test_chat_and_core_are_stable_objects(self) -> None:
        client = SyncFriendli()
        assert client.dedicated.chat is client.dedicated.chat
        assert client.core is client

    def test_constructor_accepts_options_of_the_published_client(self) -> None:
        from friendli.utils import BackoffStrategy

        config = RetryConfig("backoff", BackoffStrategy(1, 2, 3, 4), False)
        client = SyncFriendli("t", 0, "http://x", {}, None, None, config, 5, None)
        assert client.config.retries is config and client.config.timeout_ms == 5
        assert SyncFriendli("t", retries=config, x_friendli_team="a").config.retries is config
        with pytest.warns(UserWarning, match="ignores the option 'nonsense'"):
            SyncFriendli(nonsense=1)

    def test_exported_names_exist(self) -> None:
        for name in friendli.__all__:
            assert getattr(friendli, name) is not None
            assert name in dir(friendli)
        with pytest.raises(AttributeError):
            _ = friendli.nonsense

    def test_import_paths_of_the_published_client(self) -> None:
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
    def test_what_is_imported_when(self) -> None:
        program = """
            import sys

            def loaded(before):
                new = sys.modules.keys() - before - {*sys.stdlib_module_names}
                return {n for n in new if n.partition(".")[0] not in sys.stdlib_module_names}

            start = {*sys.modules}
            import friendli
            assert loaded(start) == {"friendli", "friendli._version"}, loaded(start)
            friendli.SyncFriendli("t"), friendli.AsyncFriendli("t")
            names = loaded(start)
            tops = {n.partition(".")[0] for n in names if not n.startswith("_")}
            libraries = tops - {"friendli"}
            assert libraries <= {
                "pydantic", "pydantic_core", "annotated_types", "typing_extensions",
                "typing_inspection",
            }, libraries
            late = {
                "_compat", "_scripted", "_signature", "_tools", "core", "dedicated", "utils",
                "pytest_plugin", "_transport.aiohttp", "_transport.async_direct",
                "_transport.direct", "_transport.environment", "_transport.exchange",
            }
            own = {n.removeprefix("friendli.") for n in names if n.startswith("friendli.")}
            assert not own & late, own & late
        """
        assert run(program) == ""

    def test_import_is_silent_and_does_not_import_http(self) -> None:
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
    "program, reply, expected_start",
    [
        (COMPLETE, json_answer(completion()), "id='chatcmpl-1' choices=[ChatChoice(index=0,"),
        (STREAM, stream_answer(words("a")), "data=StreamedChatData(id='chatcmpl-1', choices=["),
        (ASYNC_STREAM, stream_answer(words("a")), "data=StreamedChatData(id='chatcmpl-1'"),
    ],
    ids=["complete", "stream", "async stream"],
)
def test_programs_of_the_reference_page(
    serve: Serve, program: str, reply: bytes, expected_start: str
) -> None:
    server = serve(reply)
    assert run(program, FRIENDLI_BASE_URL=server.url, FRIENDLI_TOKEN="").startswith(expected_start)
    assert server.requests[0].header("authorization") is None
    assert server.requests[0].json["max_tokens"] == 200
