"""URL of the server, from arguments, environment and redirects."""

from __future__ import annotations

import pytest

from friendli import SyncFriendli, UnexpectedResponseError
from friendli._transport.options import operation_url

from ..conftest import Caller, ask
from ..wire import Serve, answer, completion, json_answer


class TestServer:
    @pytest.mark.parametrize("tail", ["", "/"])
    def test_path_prefix_and_query_are_kept(self, serve: Serve, caller: Caller, tail: str) -> None:
        server = serve(json_answer(completion()))
        caller.call(f"{server.url}/a/b{tail}")
        caller.call("http://127.0.0.1:9", server_url=f"{server.url}{tail}")
        caller.call(f"{server.url}{tail}?key=1")
        path = "/dedicated/v1/chat/completions"
        assert [r.line.split()[1] for r in server.requests] == [
            "/a/b" + path,
            path,
            path + "?key=1",
        ]

    def test_url_params_fill_the_server_url(self, serve: Serve) -> None:
        server = serve(json_answer(completion()))
        url = server.url.replace("127.0.0.1", "{host}")
        with SyncFriendli("t", server_url=url, url_params={"host": "127.0.0.1"}) as client:
            ask(client)
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("http://h/dedicated/v1", "/dedicated/v1"),
            ("http://h/dedicated/v1/", "/dedicated/v1"),
            ("http://h/dedicated/v1/chat/completions", "/dedicated/v1"),
            ("http://h/serverless/v1", "/dedicated/v1"),
            ("http://h/v1", "/dedicated/v1"),
            ("http://h/a/v1/?key=1", "/a/dedicated/v1"),
            ("http://h/v1/dedicated/v1", "/v1/dedicated/v1"),
            ("http://h/apiv1", "/apiv1/dedicated/v1"),
            ("http://h/v1/a", "/v1/a/dedicated/v1"),
        ],
    )
    def test_known_path_at_the_end_of_a_base_url_is_not_repeated(self, url: str, path: str) -> None:
        query = "?key=1" if "?" in url else ""
        assert str(operation_url(url)) == f"http://h{path}/chat/completions{query}"

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("localhost:8000", "'localhost:8000'"),
            ("user:pw@localhost:8000?key=1", "'localhost:8000'"),
            ("ftp://x", "'ftp://x'"),
            ("http://", "'http://'"),
            ("//x", "'//x'"),
        ],
    )
    def test_invalid_server_url_raises_value_error(self, url: str, shown: str) -> None:
        with pytest.raises(ValueError, match="`server_url` must have the form") as caught:
            SyncFriendli(server_url=url)
        assert str(caught.value).endswith(f"got {shown}")

    def test_empty_server_url_is_an_absent_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert SyncFriendli(server_url="").config.server_url == "https://api.friendli.ai"
        monkeypatch.setenv("FRIENDLI_BASE_URL", "http://127.0.0.1:9/serverless/v1")
        client = SyncFriendli(server_url="")
        assert client.sdk_configuration.server_url == "http://127.0.0.1:9"
        assert client.with_options(server_url="").config == client.config

    def test_default_server_is_the_public_service(self) -> None:
        assert SyncFriendli().config.server_url == "https://api.friendli.ai"
        assert SyncFriendli(None, 0).config.server_url == "https://api.friendli.ai"
        with pytest.raises(ValueError, match="server_idx"):
            SyncFriendli(server_idx=1)

    def test_redirects_that_keep_the_method_are_followed(
        self, serve: Serve, caller: Caller
    ) -> None:
        target = serve(json_answer(completion()))
        server = serve(answer(b"", 307, location=target.url + "/x"))
        caller.call(server.url)
        assert target.requests[0].json["model"] == "e"
        assert target.requests[0].header("authorization") is None  # another origin

    @pytest.mark.parametrize("status", [301, 302, 303])
    @pytest.mark.parametrize("method", ["complete", "stream"])
    def test_redirects_to_a_get_raise_an_error_that_says_so(
        self, serve: Serve, caller: Caller, status: int, method: str
    ) -> None:
        target = serve(json_answer(completion()))
        server = serve(answer(b"", status, location=target.url + "/x"))
        with pytest.raises(UnexpectedResponseError, match="turns the POST into a GET") as caught:
            caller.call(server.url, method)
        assert f"use the address that it leads to as server_url: {target.url}/x" in str(
            caught.value
        )
        assert caught.value.status_code == status
        assert target.requests == [] and len(server.requests) == 1
