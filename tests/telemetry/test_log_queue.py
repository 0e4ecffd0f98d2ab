"""The log queue: logging never blocks, dropped lines are counted, and exit is not delayed."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator

import pytest

from friendli_endpoint.telemetry.log_queue import LogQueue, QueuedStream, wait_until_logged
from friendli_endpoint.telemetry.request_log import formatter_of
from tests.contract.live import environment
from tests.http.scripted import BOUND

PIPE = 64 * 1024
"""Capacity of a pipe in bytes."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    os.close(read)  # a thread that writes then ends its write, but does not close


class Reader:
    """Reads the lines of a pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._content = b""

    def until(self, condition: Callable[[list[str]], bool]) -> list[str]:
        while not condition(self.lines):
            self._content += os.read(self._descriptor, PIPE)
        return self.lines

    @property
    def lines(self) -> list[str]:
        return self._content.decode().splitlines()


def logger_of(queue: LogQueue) -> logging.Logger:
    logger = logging.Logger("test")
    logger.addHandler(queue)
    return logger


def num_told(lines: list[str]) -> int:
    """Returns the number of lines reported as dropped."""
    return sum(int(line.split()[1]) for line in lines if line.startswith("dropped "))


def num_kept(lines: list[str]) -> int:
    return sum(not line.startswith("dropped ") for line in lines)


def test_logging_never_blocks_and_dropped_lines_are_reported(
    pipe: tuple[int, int],
) -> None:
    queue = LogQueue(pipe[1], max_lines=500)
    log = logger_of(queue)
    for number in range(5_000):
        log.warning("line %d %s", number, "x" * 200)
    assert not queue.wait_until_written(0.01)
    reader = Reader(pipe[0])
    lines = reader.until(lambda lines: num_told(lines) + num_kept(lines) == 5_000)
    assert 500 <= num_kept(lines) <= 4 * PIPE // 200 + 500
    log.warning("the last")
    assert reader.until(lambda lines: lines[-1] == "the last")[:-1] == lines
    assert queue.wait_until_written(BOUND)


def test_long_lines_are_limited_by_their_bytes(pipe: tuple[int, int]) -> None:
    queue = LogQueue(pipe[1], max_bytes=10 * PIPE)
    log = logger_of(queue)
    for _ in range(100):
        log.warning("x" * PIPE)
    lines = Reader(pipe[0]).until(lambda lines: num_told(lines) + num_kept(lines) == 100)
    assert 80 <= num_told(lines) <= 91


def test_a_full_non_blocking_pipe_is_waited_for(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    log = logger_of(LogQueue(pipe[1]))
    for number in range(1_000):
        log.warning("line %d %s", number, "x" * 200)
    lines = Reader(pipe[0]).until(lambda lines: len(lines) == 1_000)
    assert [line.split()[1] for line in lines] == [str(number) for number in range(1_000)]


def test_records_and_exceptions_are_formatted_by_the_formatter(pipe: tuple[int, int]) -> None:
    queue = LogQueue(pipe[1])
    queue.setFormatter(formatter_of("json"))
    log = logger_of(queue)
    try:
        raise ValueError("a \ud800 fault")
    except ValueError:
        log.exception("it failed", extra={"fields": {"status": 500}})
    (line,) = Reader(pipe[0]).until(bool)
    fields = json.loads(line)
    assert (fields["level"], fields["status"]) == ("error", 500)
    assert "Traceback" in fields["exception"] and "ValueError" in fields["exception"]


def test_unformattable_records_and_closed_pipes_write_nothing_to_standard_error(
    pipe: tuple[int, int], capfd: pytest.CaptureFixture[str]
) -> None:
    queue = LogQueue(pipe[1])
    log = logger_of(queue)
    log.warning("%d", "not a number")
    log.warning("good")
    lines = Reader(pipe[0]).until(lambda lines: len(lines) == 2)
    assert lines[0] == "good" and "dropped 1 lines" in lines[1]
    read, write = os.pipe()
    os.close(read)
    broken = LogQueue(write)
    logger_of(broken).warning("to nobody")
    assert broken.wait_until_written(BOUND)
    os.close(write)
    assert capfd.readouterr() == ("", "")


def test_a_stream_writes_complete_lines(pipe: tuple[int, int]) -> None:
    stream = QueuedStream(LogQueue(pipe[1]), is_terminal=True)
    reader = Reader(pipe[0])
    print("one\ntwo", end="", file=stream)
    assert reader.until(bool) == ["one"]
    print(" and", "three", file=stream, flush=True)
    stream.write("four")
    stream.flush()
    assert reader.until(lambda lines: len(lines) == 3) == ["one", "two and three", "four"]
    assert stream.isatty()


def test_many_threads_can_log(pipe: tuple[int, int]) -> None:
    log = logger_of(LogQueue(pipe[1]))
    threads = [
        threading.Thread(target=lambda: deque(map(log.warning, ["x" * 50] * 200), 0))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    lines = Reader(pipe[0]).until(lambda lines: len(lines) == 1_600)
    assert set(lines) == {"x" * 50}


def test_waiting_without_a_queue_returns_at_once() -> None:
    assert wait_until_logged(0.0)


ENDING = """
import logging, os, sys, threading, warnings
from friendli_endpoint.telemetry.log_queue import LogQueue, QueuedStream, wait_until_logged
lines = LogQueue(2)
logging.basicConfig(handlers=[lines])
sys.stderr = QueuedStream(lines)
def fail(): raise ValueError("in a thread")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
warnings.warn("a warning")
for number in range(%d): logging.warning("line %%d", number)
print("all is logged", flush=True)
%s
"""


@pytest.mark.parametrize("end", ["", "wait_until_logged(); os._exit(0)"], ids=["exit", "_exit"])
def test_queued_lines_are_written_at_exit(end: str) -> None:
    command = [sys.executable, "-c", ENDING % (3_000, end)]
    ended = subprocess.run(
        command, capture_output=True, env=environment(), timeout=BOUND, check=True
    )
    assert b"ValueError: in a thread\n" in ended.stderr
    assert b"UserWarning: a warning\n" in ended.stderr
    assert ended.stderr.endswith(b"line 2999\n")


@pytest.mark.load
@pytest.mark.parametrize("end", ["", "wait_until_logged(); os._exit(0)", "raise SystemError"])
def test_exit_does_not_wait_for_a_pipe_without_a_reader(end: str) -> None:
    command = [sys.executable, "-c", ENDING % (30_000, end)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"all is logged\n"
        assert process.wait(BOUND) == (1 if "raise" in end else 0)
