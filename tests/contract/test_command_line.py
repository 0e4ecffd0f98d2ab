"""The command line as a process: errors at the start, and shutdown."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.served import Placement

from .live import HELLO, STOP_SECONDS, Live, environment, request, stop, until

COMMAND = [sys.executable, "-m", "friendli_endpoint.cli"]
SMALL = ["--port", "0", "--max-sequences", "2", "--context", "512", "--threads", "1"]


def start_error(*flags: str, **variables: str) -> str:
    """Runs `serve`, which must not start; returns its standard error."""
    ended = subprocess.run(
        [*COMMAND, "serve", *flags],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(**variables),
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return ended.stderr


def sentence(output: str) -> str:
    """Returns the only line of the output, without the program's name."""
    (line,) = output.splitlines()
    name, _, rest = line.partition(": ")
    assert name == "friendli-endpoint"
    return rest


@pytest.fixture
def garbage(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"this is not a model" * 100)
    return path


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--port", "99999"], "--port: .*65535"),
        (["--port", "-1"], "--port: .*greater than or equal to 0"),
        (["--context", "1"], "--context: .*256"),
        (["--max-sequences", "0"], "--max-sequences: "),
        (["--log-level", "loud"], "--log-level: .*'loud'"),
        (["--host", "256.1.1.1", "--no-auth"], "cannot listen on 256.1.1.1:0"),
        (["--host", "0.0.0.0"], "0.0.0.0 can be reached from other machines"),
        (["--host", "::"], ":: can be reached from other machines"),
        (["--host", "here.example"], "here.example can be reached from other machines"),
        (["--no-auth", "--token-file", __file__], "not a token"),
        (["--token-file", "/nowhere/tokens"], "cannot read /nowhere/tokens"),
        (["--token-file", os.devnull], "is not a regular file"),
        (["--tls-key", __file__], "--tls-key needs --tls-cert"),
        (["--tls-cert", __file__], "cannot use the certificate"),
        (["--tls-cert", "/nowhere/cert"], "cannot use the certificate /nowhere/cert"),
    ],
)
def test_an_invalid_flag_prints_one_line(flags: list[str], words: str) -> None:
    assert re.search(words, sentence(start_error("--port", "0", *flags)))


def test_a_port_that_is_not_a_number_is_an_error() -> None:
    assert "--port" in start_error("--port", "high")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "high", "FRIENDLI_ENDPOINT_PORT: "),
        ("ENDPOINT_ID", "first", r"endpoint_id.*\[\"first\"\]"),
    ],
)
def test_an_invalid_environment_variable_prints_one_line(name: str, value: str, words: str) -> None:
    message = sentence(start_error(**{f"FRIENDLI_ENDPOINT_{name}": value}))
    assert re.search(words, message)


def test_a_port_in_use_prints_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = sentence(start_error("--port", str(port)))
    assert message == (
        f"cannot listen on 127.0.0.1:{port}: another program uses this port; "
        "choose another port with --port, or --port 0 for a free one"
    )


def test_a_missing_model_prints_one_line(tmp_path: Path) -> None:
    message = sentence(start_error("--port", "0", "--model", str(tmp_path / "none.gguf")))
    assert "none.gguf" in message


def test_a_model_that_is_not_gguf_prints_one_line(garbage: Path) -> None:
    assert str(garbage) in sentence(start_error("--port", "0", "--model", str(garbage)))


def test_a_model_that_is_invalid_after_its_magic_is_an_error(garbage: Path) -> None:
    garbage.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 1000)
    assert (
        "friendli-endpoint: "
        in start_error("--port", "0", "--model", str(garbage)).splitlines()[-1]
    )


def test_version_prints_a_version_number() -> None:
    ended = subprocess.run(
        [*COMMAND, "version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", ended.stdout)


# ── stopping ─────────────────────────────────────────────────────────────────────────────────

Start = Callable[..., tuple[subprocess.Popen[bytes], Live, Path]]


@pytest.fixture
def start(tmp_path: Path, small_model: Path, placement: Placement) -> Iterator[Start]:
    """Returns a function that starts endpoints, which are stopped after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def launch(*flags: str) -> tuple[subprocess.Popen[bytes], Live, Path]:
        log = tmp_path / f"{len(started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*COMMAND, "serve", *SMALL, *placement.flags, "--model", str(small_model), *flags],
                stdout=output,
                stderr=output,
                env=environment(),
            )
        started.append(process)

        def banner() -> re.Match[str] | None:
            assert process.poll() is None, log.read_text()
            return re.search(r"^Serving .* on (http://127\.0\.0\.1:\d+)\b", log.read_text(), re.M)

        return process, Live(until(banner, 60, "the banner")[1]), log

    yield launch
    for process in started:
        if process.poll() is None:
            stop(process, signal.SIGKILL)


def listening(live: Live) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", live.port)) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_shuts_the_endpoint_down(start: Start, number: signal.Signals) -> None:
    process, live, log = start()
    assert live.request("GET", "/health").status_code == 200
    assert stop(process, number) == 0
    assert not listening(live)
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_at_once(start: Start, number: signal.Signals) -> None:
    process, live, _log = start("--drain-seconds", "10000")
    with live.send(request(stream=True, n=128, max_tokens=400, min_tokens=400)) as connection:
        read = b""
        while b"data: " not in read:
            read += connection.recv(65536)
        process.send_signal(signal.SIGTERM)
        until(lambda: live.request("GET", "/health").status_code == 503, STOP_SECONDS, "draining")
        process.send_signal(number)
        assert process.wait(STOP_SECONDS) == -number


def test_a_signal_while_threads_tokenize_and_compile_shuts_the_endpoint_down(start: Start) -> None:
    process, live, log = start("--drain-seconds", "0", "--context", "4096")
    texts = [HELLO[0] | {"content": f"{number} " + "a" * 300_000} for number in range(12)]
    schemas = [{"enum": [f"{number} {n}" for n in range(4000)]} for number in range(12)]
    with contextlib.ExitStack() as stack:
        for text, schema in zip(texts, schemas, strict=True):
            stack.enter_context(live.send(request(messages=[text])))
            json_schema = {"type": "json_schema", "json_schema": {"schema": schema}}
            stack.enter_context(live.send(request(response_format=json_schema)))
        assert live.request("GET", "/live").status_code == 200
        assert stop(process) == 0
    assert "Traceback" not in log.read_text()


def test_running_streams_finish_within_the_drain_time(start: Start) -> None:
    process, live, log = start("--drain-seconds", "60")
    with live.send(request(stream=True, max_tokens=20, min_tokens=20)) as connection:
        read = b""
        while read.count(b"data: ") < 3:
            read += connection.recv(65536)
        process.send_signal(signal.SIGTERM)
        while chunk := connection.recv(65536):
            read += chunk
    assert b"data: [DONE]\n\n" in read
    assert process.wait(STOP_SECONDS) == 0
    assert "Traceback" not in log.read_text()


def test_streams_that_exceed_the_drain_time_end_with_an_error_event(start: Start) -> None:
    process, live, log = start("--drain-seconds", "0")
    with live.send(request(stream=True, n=128, max_tokens=400, min_tokens=400)) as connection:
        read = b""
        while b"data: " not in read:
            read += connection.recv(65536)
        process.send_signal(signal.SIGTERM)
        while chunk := connection.recv(65536):
            read += chunk
    last = read.rstrip().split(b"\n\n")[-1] if b"[DONE]" in read else read
    assert b'data: {"error": {' in last
    assert b"shutting down" in last
    assert b"[DONE]" not in read
    assert process.wait(STOP_SECONDS) == 0
    assert not listening(live)
    assert "Traceback" not in log.read_text()
