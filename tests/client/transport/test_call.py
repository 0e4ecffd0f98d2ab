"""Headers of a call, from all levels of options."""

from __future__ import annotations

from ..conftest import Caller
from ..wire import Serve, completion, json_answer


class TestHeaders:
    def test_replaced_whatever_their_case(self, serve: Serve, caller: Caller) -> None:
        server = serve(json_answer(completion()))
        mine = {"AUTHORIZATION": "Basic x", "User-Agent": "me", "ACCEPT": "a/b", "X-New": "1"}
        caller.call(server.url, http_headers=mine, x_friendli_team="team")
        [request] = server.requests
        for name, value in mine.items():
            assert request.header(name) == value
        assert request.header("x-friendli-team") == "team"

    def test_levels(self, serve: Serve, caller: Caller) -> None:
        server = serve(json_answer(completion()))
        options = {"x_friendli_team": "mine", "http_headers": {"X-A": "1", "X-B": "1"}}
        caller.call(server.url, client_options=options, http_headers={"x-b": "2"})
        caller.call(server.url, client_options=options, x_friendli_team="other")
        caller.call(server.url, client_options=options, x_friendli_team=None)
        assert [r.header("x-friendli-team") for r in server.requests] == ["mine", "other", None]
        assert [r.header("x-b") for r in server.requests] == ["2", "1", "1"]

    def test_accept_override(self, serve: Serve, caller: Caller) -> None:
        server = serve(json_answer(completion()))
        caller.call(server.url, accept_header_override="application/json;q=0.5")
        assert server.requests[0].header("accept") == "application/json;q=0.5"
