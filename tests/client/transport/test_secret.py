"""The token: how it is sent, and that nothing shows it."""

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
    def test_header(self, serve: Serve, caller: Caller, token: Any, header: str | None) -> None:
        server = serve(json_answer(completion()))
        caller.call(server.url, token=token)
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


def shown_by(error: BaseException) -> str:
    """Give what a traceback with locals shows of an error, its causes and our frames."""
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
    @pytest.mark.parametrize("there", [True, False])
    def test_never_in_what_is_raised(
        self, serve: Serve, caller: Caller, token: str, there: bool
    ) -> None:
        url = serve(json_answer(ERROR, 401)).url if there else "http://127.0.0.1:9"
        options = {"retry_config": None}
        with pytest.raises(Exception) as caught:
            caller.call(url, token=token, client_options=options)
        assert SECRET not in shown_by(caught.value)

    @pytest.mark.parametrize("method", ["complete", "stream"])
    @pytest.mark.parametrize("there", [True, False])
    def test_nor_are_headers(self, serve: Serve, caller: Caller, method: str, there: bool) -> None:
        url = serve(json_answer(ERROR, 401)).url if there else "http://127.0.0.1:9"
        options = {"retry_config": None, "http_headers": {"Cookie": SECRET}}
        with pytest.raises(friendli.FriendliError) as caught:
            caller.call(url, method, http_headers={"authorization": SECRET}, client_options=options)
        assert SECRET not in shown_by(caught.value)

    def test_never_in_what_a_constructor_raises(self) -> None:
        with pytest.raises(ValueError) as caught:
            SyncFriendli(SECRET, server_url="nonsense")
        assert SECRET not in shown_by(caught.value)

    def test_a_token_of_the_wrong_kind(self) -> None:
        client = SyncFriendli(lambda: 5, server_url="http://127.0.0.1:9")  # type: ignore[arg-type, return-value]
        with pytest.raises(TypeError, match="`token` must be a string, got int"):
            client.dedicated.chat.complete(model="e", messages=MESSAGES)

    def test_never_in_repr(self) -> None:
        client = SyncFriendli(SECRET, server_url=f"http://user:{SECRET}@127.0.0.1:9/p?q={SECRET}")
        chat = client.dedicated.chat
        for thing in (client, client.config, chat._options, client.__dict__):
            assert SECRET not in repr(thing)

    def test_never_in_a_debug_logger(self, serve: Serve, caller: Caller) -> None:
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
        assert any("status 503; again in 0.001 s" in line for line in lines)
        assert any("'Authorization': '***'" in line for line in lines)
        assert SECRET not in "\n".join(lines)

    def test_never_in_the_log(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
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
        monkeypatch.setenv("FRIENDLI_LOG", "debug")
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert "friendli DEBUG POST http://127.0.0.1:" in done.stderr
        assert "answered 401" in done.stderr
        assert SECRET not in done.stderr and "private" not in done.stderr
        assert done.stdout == ""
