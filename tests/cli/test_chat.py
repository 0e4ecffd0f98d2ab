"""The chat over a pipe and in a terminal, with a scripted endpoint."""

import os
import pty
import re
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from friendli._scripted import ScriptedEndpoint
from friendli_endpoint.cli.chat import read_terminal
from friendli_endpoint.cli.commands.chat import TEMPERATURE

from .command import run, sentence

PATIENCE = 30.0
SAMPLING = {"temperature", "top_k", "top_p", "min_p", "repetition_penalty", "frequency_penalty"}


def talk(endpoint: ScriptedEndpoint, *lines: str) -> tuple[int, str, str]:
    """Returns the exit code, output and errors of a chat over a pipe."""
    done = run(
        "chat", "--url", endpoint.url, "--endpoint-id", "m", typed="".join(f"{x}\n" for x in lines)
    )
    return done.exit_code, done.stdout, done.stderr


def test_lines_of_a_pipe_are_answered_without_prompts(friendli_scripted: ScriptedEndpoint) -> None:
    friendli_scripted.stream(["Hel", "lo."])
    friendli_scripted.answer("Bye.")
    assert talk(friendli_scripted, "Hi!", "", "And?") == (0, "Hello.\nBye.\n", "")
    first, second = (request.body for request in friendli_scripted.requests)
    assert (first["model"], first["stream"]) == ("m", True)
    assert [message["content"] for message in second["messages"]] == ["Hi!", "Hello.", "And?"]


def test_parameters_and_the_system_message_are_sent(friendli_scripted: ScriptedEndpoint) -> None:
    talk(friendli_scripted, "/system Be terse.", "/set temperature 0.2", "/set future [1]", "Hi!")
    (request,) = friendli_scripted.requests
    assert request.body["messages"][0] == {"role": "system", "content": "Be terse."}
    assert (request.body["temperature"], request.body["future"]) == (0.2, [1])


@pytest.mark.parametrize(
    ("flags", "lines", "sent"),
    [
        ([], [], {"temperature": TEMPERATURE}),
        (["--temperature", "0"], [], {"temperature": 0}),
        ([], ["/set temperature 0.9"], {"temperature": 0.9}),
        ([], ["/unset temperature"], {}),
    ],
)
def test_answers_have_the_temperature_of_the_banner_unless_it_is_changed(
    friendli_scripted: ScriptedEndpoint, flags: list[str], lines: list[str], sent: dict[str, float]
) -> None:
    run(
        *("chat", "--url", friendli_scripted.url, "--endpoint-id", "m", *flags),
        typed="".join(f"{line}\n" for line in [*lines, "Hi!"]),
    )
    (request,) = friendli_scripted.requests
    assert {name: request.body[name] for name in request.body if name in SAMPLING} == sent


def test_the_error_message_of_the_endpoint_is_printed(friendli_scripted: ScriptedEndpoint) -> None:
    friendli_scripted.error(400, "temperature must be at least 0")
    friendli_scripted.answer("Better.")
    code, output, errors = talk(friendli_scripted, "/set temperature -1", "Hi!", "/retry")
    assert (code, output) == (1, "Better.\n")
    assert errors == "friendli-endpoint: temperature must be at least 0\n"


def test_a_parameter_of_the_wrong_type_is_named(friendli_scripted: ScriptedEndpoint) -> None:
    code, output, errors = talk(friendli_scripted, "/set temperature hot", "Hi!")
    assert (code, output) == (1, "")
    assert errors.startswith("friendli-endpoint: temperature: ")


def test_an_interrupted_answer_is_kept_and_an_error_is_printed(
    friendli_scripted: ScriptedEndpoint,
) -> None:
    friendli_scripted.stream(["Half"], cut=True)
    code, output, errors = talk(friendli_scripted, "Hi!", "/show")
    assert (code, output) == (1, "Half\ntemperature: 0.5\nmessages: 2\n")
    assert "friendli-endpoint: " in errors


def test_quit_ends_the_chat(friendli_scripted: ScriptedEndpoint) -> None:
    assert talk(friendli_scripted, "/quit", "Hi!") == (0, "", "")
    assert friendli_scripted.requests == []


def test_control_characters_of_a_model_are_replaced(friendli_scripted: ScriptedEndpoint) -> None:
    friendli_scripted.answer("a\x1b[2Jb\x07\tc\nd")
    assert talk(friendli_scripted, "Hi!")[1] == "a\ufffd[2Jb\ufffd\tc\nd\n"


def test_an_unreachable_endpoint_is_an_error_of_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    assert url in sentence(run("chat", "--url", url))


def test_an_endpoint_without_a_model_list_is_an_error_of_one_line(
    friendli_scripted: ScriptedEndpoint,
) -> None:
    assert "404" in sentence(run("chat", "--url", friendli_scripted.url))


def test_url_and_model_cannot_be_combined(tmp_path: Path) -> None:
    assert "--model" in sentence(run("chat", "--url", "http://h", "--model", str(tmp_path)))


def test_a_missing_model_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    assert "none.gguf" in sentence(run("chat", "--model", str(tmp_path / "none.gguf")))


def test_ctrl_c_discards_the_line_being_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: Iterator[str | type[BaseException]] = iter(
        [KeyboardInterrupt, "Hi!", EOFError, "never read"]
    )

    def typed(_prompt: str) -> str:
        key = next(keys)
        if isinstance(key, str):
            return key
        raise key

    monkeypatch.setattr("builtins.input", typed)
    assert list(read_terminal()) == ["Hi!"]


# ── in a terminal ────────────────────────────────────────────────────────────────────────────


class Stalling:
    """An endpoint that sends one word of reasoning and one of content, and then nothing more."""

    EVENTS = b"".join(
        b'data: {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m",'
        b' "choices": [{"index": 0, "delta": {"%b": "%b"}, "finish_reason": null}]}\n\n' % delta
        for delta in ((b"reasoning_content", b"Thought"), (b"content", b"Word"))
    )

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.left = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(PATIENCE)
            seen = b""
            while b'"Hi!"' not in seen:
                seen += connection.recv(65536)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + self.EVENTS
            )
            while connection.recv(65536):
                pass
        self.left.set()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def stalling() -> Iterator[Stalling]:
    endpoint = Stalling()
    yield endpoint
    endpoint.close()


class Terminal:
    """A chat process in its own pseudo-terminal."""

    def __init__(self, *flags: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "friendli_endpoint.cli", "chat", *flags],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm"},
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # takes the terminal
        )
        os.close(theirs)
        self.seen = ""

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def until(self, pattern: str) -> None:
        """Reads until the output matches `pattern`, and removes the output up to there."""
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self._ours], [], [], PATIENCE)
            assert ready, f"no {pattern!r} in {self.seen!r}"
            self.seen += os.read(self._ours, 4096).decode()
        self.seen = self.seen[found.end() :]

    def interrupt_until(self, pattern: str, keys: str) -> None:
        """Types Ctrl-C keys, again every second until the output matches `pattern`.

        Python handles a signal that arrives right before a blocking call only after the call.
        """
        for _ in range(int(PATIENCE)):
            self.type(keys)
            end = time.monotonic() + 1
            while (left := end - time.monotonic()) > 0 and not re.search(pattern, self.seen):
                if select.select([self._ours], [], [], left)[0]:
                    self.seen += os.read(self._ours, 4096).decode()
            if re.search(pattern, self.seen):
                break
        self.until(pattern)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.mark.parametrize("keys", ["\x03", "\x03\x03"], ids=["once", "twice"])
def test_ctrl_c_stops_an_answer_and_ctrl_d_the_program(stalling: Stalling, keys: str) -> None:
    terminal = Terminal("--url", stalling.url, "--endpoint-id", "m")
    try:
        terminal.until(rf"at temperature {TEMPERATURE:g} \(/set temperature changes it\)")
        terminal.until("> ")
        terminal.type("Hi!\n")
        terminal.until(r"\x1b\[2mThought\x1b\[0m\r\nWord")
        terminal.interrupt_until("> ", keys)
        assert stalling.left.wait(PATIENCE)
        terminal.type("/show\n")
        terminal.until(r"messages: 2\r\n")
        terminal.until("> ")
        terminal.type("\x04")
        assert terminal.process.wait(PATIENCE) == 0
    finally:
        terminal.close()
