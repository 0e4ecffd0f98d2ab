"""URL of the server, from arguments, environment and redirects."""

from __future__ import annotations

import pytest

from friendli import SyncFriendli

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

    @pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://", "//x"])
    def test_invalid_server_url_raises_value_error(self, url: str) -> None:
        with pytest.raises(ValueError, match="`server_url` must have the form"):
            SyncFriendli(server_url=url)

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
