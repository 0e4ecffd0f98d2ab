"""Serves model files, each in a forked process: `python -m tests.load.forking_server`.

Reads one path per line from standard input, and answers each with a line of JSON: the exit code of
the process that served the file, negative for a signal, and its output. The processes are forked
from this one, which has imported all modules and opened no model, so that hundreds of files are
served in minutes.
"""

import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from friendli_endpoint.cli.checks import run_checks
from friendli_endpoint.generation import StartError
from friendli_endpoint.settings import Settings
from tests.families.served import Served

__all__ = ["HUNG", "REJECTED", "SERVED"]

SERVED, REJECTED, HUNG = 0, 2, 100
SECONDS = 120
"""Time after which a process is killed."""


def serve(path: Path) -> int:
    """Serves one file as `serve` does, answers one request, and checks it as `doctor` does."""
    checked = {finding.check: finding.ok for finding in run_checks(Settings(model=path, port=0))}
    code = SERVED
    try:
        with Served(path, repack="auto") as served:
            (call,) = served.call({"max_tokens": 4, "n": 2})
            assert call.status in (200, 400), call.body  # the context may be too short
    except StartError as error:
        print(error)
        code = REJECTED
    found = checked["model"] and checked["template"]
    print("doctor:", "ok" if found else "problem")
    return code


def serve_in_child(path: Path) -> tuple[int, str]:
    """Serves a file in a forked process; returns its exit code and its output."""
    read_end, write_end = os.pipe()
    process = os.fork()
    if not process:
        os.dup2(write_end, 1)
        os.dup2(write_end, 2)
        code = 1
        try:
            code = serve(path)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    os.close(write_end)
    with open(read_end, "rb") as output, alarm(process) as hung:
        text = output.read().decode(errors="replace")
        _, status = os.waitpid(process, 0)
    return HUNG if hung else os.waitstatus_to_exitcode(status), text


@contextlib.contextmanager
def alarm(process: int) -> Iterator[list[bool]]:
    """Kills a process that takes longer than `SECONDS`; the yielded list is then not empty."""
    hung: list[bool] = []

    def kill(_signal: int, _frame: object) -> None:
        hung.append(True)
        os.kill(process, signal.SIGKILL)

    signal.signal(signal.SIGALRM, kill)
    signal.alarm(SECONDS)
    try:
        yield hung
    finally:
        signal.alarm(0)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(serve_in_child(Path(line.rstrip("\n")))), flush=True)
