"""The token: its header, and that it is never shown."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

import friendli
from friendli import SyncFriendli

from ..conftest import Caller, ask
from ..wire import ERROR, MESSAGES, SECRET, Serve, answer, completion, json_answer


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
    def test_authorization_header_of_a_token(
        self, serve: Serve, caller: Caller, token: Any, header: str | None
    ) -> None:
        server = serve(json_answer(completion()))
        caller.call(server.url, token=token)
        assert server.requests[0].header("authorization") == header

    def test_token_is_read_from_the_environment(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = serve(json_answer(completion()))
        monkeypatch.setenv("FRIENDLI_TOKEN", "env")
        monkeypatch.setenv("FRIENDLI_BASE_URL", server.url)
        with SyncFriendli() as client:
            ask(client)
        with SyncFriendli(token="") as client:
            ask(client)
        assert [r.header("authorization") for r in server.requests] == ["Bearer env", None]

    def test_callable_token_is_called_once_per_call(self, serve: Serve) -> None:
        server = serve(answer(b"", 503, retry_after_ms="1"), json_answer(completion()))
        called = []

        def token() -> str:
            called.append(1)
            return "t"

        with SyncFriendli(token, server_url=server.url) as client:
            ask(client)
            ask(client)
        assert len(server.requests) == 3 and len(called) == 2


def shown_by(error: BaseException) -> str:
    """Return the text of a traceback with the locals of the client's frames."""
    shown = []
    cause: BaseException | None = error
    while cause is not None:
        shown += [str(cause), repr(cause), repr(vars(cause))]
        trace = cause.__traceback__
        while trace is not None:
            if "/friendli/" in trace.tb_frame.f_code.co_filename:
                shown += [repr(value) for value in trace.tb_frame.f_locals.values()]
            trace = trace.tb_next
        cause = cause.__cause__ or cause.__context__
    return "\n".join(shown)


class TestSecrets:
    @pytest.mark.parametrize(
        "token",
        [SECRET, f"Bearer {SECRET}", f"{SECRET}\x00", f"{SECRET}\n{SECRET}", f"é{SECRET}"],
    )
    @pytest.mark.parametrize("reachable", [True, False])
    def test_token_is_not_in_exceptions(
        self, serve: Serve, caller: Caller, token: str, reachable: bool
    ) -> None:
        url = serve(json_answer(ERROR, 401)).url if reachable else "http://127.0.0.1:9"
        options = {"retry_config": None}
        with pytest.raises(Exception) as caught:
            caller.call(url, token=token, client_options=options)
        assert SECRET not in shown_by(caught.value)

    @pytest.mark.parametrize("method", ["complete", "stream"])
    @pytest.mark.parametrize("reachable", [True, False])
    def test_headers_are_not_in_exceptions(
        self, serve: Serve, caller: Caller, method: str, reachable: bool
    ) -> None:
        url = serve(json_answer(ERROR, 401)).url if reachable else "http://127.0.0.1:9"
        options = {"retry_config": None, "http_headers": {"Cookie": SECRET}}
        with pytest.raises(friendli.FriendliError) as caught:
            caller.call(url, method, http_headers={"authorization": SECRET}, client_options=options)
        assert SECRET not in shown_by(caught.value)

    def test_token_is_not_in_exceptions_of_the_constructor(self) -> None:
        with pytest.raises(ValueError) as caught:
            SyncFriendli(SECRET, server_url="nonsense")
        assert SECRET not in shown_by(caught.value)

    def test_token_of_the_wrong_type_raises_type_error(self) -> None:
        client = SyncFriendli(lambda: 5, server_url="http://127.0.0.1:9")  # type: ignore[arg-type, return-value]
        with pytest.raises(TypeError, match="`token` must be a string, got int"):
            client.dedicated.chat.complete(model="e", messages=MESSAGES)

    def test_token_is_not_in_reprs(self) -> None:
        client = SyncFriendli(SECRET, server_url=f"http://user:{SECRET}@127.0.0.1:9/p?q={SECRET}")
        chat = client.dedicated.chat
        for thing in (client, client.config, chat._options, client.__dict__):
            assert SECRET not in repr(thing)

    def test_token_is_not_sent_to_a_debug_logger(self, serve: Serve, caller: Caller) -> None:
        lines: list[str] = []

        class Logger:
            def debug(self, message: str, *args: Any) -> None:
                lines.append(message % args)

        server = serve(answer(b"", 503, retry_after_ms="1"), json_answer(ERROR, 401))
        with pytest.raises(friendli.AuthenticationError):
            caller.call(server.url, token=SECRET, client_options={"debug_logger": Logger()})
        assert [line.split()[2:4] for line in lines if " attempt " in line] == [
            ["attempt", "1,"],
            ["attempt", "2,"],
        ]
        assert any("status 503; retrying in 0.001 s" in line for line in lines)
        assert any("'Authorization': '***'" in line for line in lines)
        assert SECRET not in "\n".join(lines)

    @pytest.mark.parametrize(
        ("variable", "shown"),
        [("FRIENDLI_LOG", "friendli DEBUG "), ("FRIENDLI_DEBUG", "DEBUG:friendli_core:")],
    )
    def test_token_and_bodies_are_not_logged(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, variable: str, shown: str
    ) -> None:
        program = inspect.cleandoc(
            f"""
            from friendli import SyncFriendli
            with SyncFriendli({SECRET!r}, server_url={serve(json_answer(ERROR, 401)).url!r},
                              http_headers={{"Cookie": {SECRET!r}}}) as client:
                try:
                    client.dedicated.chat.complete(
                        model="e", messages=[{{"role": "user", "content": "private"}}])
                except Exception:
                    pass
            """
        )
        monkeypatch.setenv(variable, "debug")
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert f"{shown}POST http://127.0.0.1:" in done.stderr
        assert "answered 401" in done.stderr
        assert SECRET not in done.stderr and "private" not in done.stderr
        assert done.stdout == ""
