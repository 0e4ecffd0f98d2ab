"""Request headers, merged from the options of the client and of the call."""

from __future__ import annotations

from ..conftest import Caller
from ..wire import Serve, completion, json_answer


class TestHeaders:
    def test_http_headers_replace_defaults_case_insensitively(
        self, serve: Serve, caller: Caller
    ) -> None:
        server = serve(json_answer(completion()))
        overrides = {"AUTHORIZATION": "Basic x", "User-Agent": "me", "ACCEPT": "a/b", "X-New": "1"}
        caller.call(server.url, http_headers=overrides, x_friendli_team="team")
        [request] = server.requests
        for name, value in overrides.items():
            assert request.header(name) == value
        assert request.header("x-friendli-team") == "team"

    def test_options_of_the_call_override_those_of_the_client(
        self, serve: Serve, caller: Caller
    ) -> None:
        server = serve(json_answer(completion()))
        options = {"x_friendli_team": "clients", "http_headers": {"X-A": "1", "X-B": "1"}}
        caller.call(server.url, client_options=options, http_headers={"x-b": "2"})
        caller.call(server.url, client_options=options, x_friendli_team="other")
        caller.call(server.url, client_options=options, x_friendli_team=None)
        assert [r.header("x-friendli-team") for r in server.requests] == ["clients", "other", None]
        assert [r.header("x-b") for r in server.requests] == ["2", "1", "1"]

    def test_accept_header_override_is_sent(self, serve: Serve, caller: Caller) -> None:
        server = serve(json_answer(completion()))
        caller.call(server.url, accept_header_override="application/json;q=0.5")
        assert server.requests[0].header("accept") == "application/json;q=0.5"
