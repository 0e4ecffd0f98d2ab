"""A handler whose jobs are programs, for tests of the pool."""

import os
import signal
import time
from collections.abc import Callable

from friendli_endpoint.workers import Handler

__all__ = ["fail_to_load", "load"]


def load(greeting: str) -> Callable[[str], Handler]:
    """Returns a maker of handlers whose results begin with a greeting and a mark."""

    def make_handler(mark: str) -> Handler:
        def handle(job: bytes, report: Callable[[str], None]) -> bytes:
            name, _, argument = job.decode().partition(" ")
            return f"{greeting}{mark} {JOBS[name](argument, report)}".encode()

        return handle

    return make_handler


def fail_to_load() -> None:
    raise ValueError("the vocabulary is missing")


def _echo(text: str, report: Callable[[str], None]) -> str:
    return text


def _pid(_text: str, _report: Callable[[str], None]) -> str:
    return str(os.getpid())


def _spin(field: str, report: Callable[[str], None]) -> str:
    report(field)
    while True:
        pass


def _sleep(seconds: str, report: Callable[[str], None]) -> str:
    report(str(os.getpid()))
    time.sleep(float(seconds))
    return "awake"


def _allocate(num_bytes: str, report: Callable[[str], None]) -> str:
    report("messages")
    return str(len(bytearray(int(num_bytes))))


def _keep(num_bytes: str, _report: Callable[[str], None]) -> str:
    _kept.append(b"x" * int(num_bytes))
    return str(os.getpid())


_kept: list[bytes] = []


def _crash(_text: str, report: Callable[[str], None]) -> str:
    report("tools[0]")
    os.kill(os.getpid(), signal.SIGSEGV)
    return ""


def _raise(text: str, _report: Callable[[str], None]) -> str:
    raise ValueError(text)


def _leave(code: str, _report: Callable[[str], None]) -> str:
    os._exit(int(code))


JOBS = {
    "echo": _echo,
    "pid": _pid,
    "spin": _spin,
    "sleep": _sleep,
    "allocate": _allocate,
    "keep": _keep,
    "crash": _crash,
    "raise": _raise,
    "leave": _leave,
}
