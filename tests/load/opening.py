"""Serves model files, each in a process of its own: `python -m tests.load.opening`.

Reads a path a line from standard input, and answers with a line of JSON: the exit code of the
process that served it, negative for a signal, and what it said. It is forked from this one, which
has imported all and opened nothing, so that hundreds of files are served in minutes.
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

__all__ = ["HUNG", "REFUSED", "SERVED"]

SERVED, REFUSED, HUNG = 0, 2, 100
SECONDS = 120
"""After which a process is ended."""


def serve(path: Path) -> int:
    """Serves one file as `serve` would, answers one request, and looks at it as `doctor` does."""
    checked = {finding.check: finding.ok for finding in run_checks(Settings(model=path, port=0))}
    code = SERVED
    try:
        with Served(path, repack="auto") as served:
            (call,) = served.call({"max_tokens": 4, "n": 2})
            assert call.status in (200, 400), call.body  # a context may be too short for it
    except StartError as error:
        print(error)
        code = REFUSED
    found = checked["model"] and checked["template"]
    print("doctor:", "ok" if found else "problem")
    return code


def one(path: Path) -> tuple[int, str]:
    """Serves a file in a process of its own; gives its exit code and what it said."""
    ours, theirs = os.pipe()
    process = os.fork()
    if not process:
        os.dup2(theirs, 1)
        os.dup2(theirs, 2)
        code = 1
        try:
            code = serve(path)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    os.close(theirs)
    with open(ours, "rb") as said, alarm(process) as hung:
        text = said.read().decode(errors="replace")
        _, status = os.waitpid(process, 0)
    return HUNG if hung else os.waitstatus_to_exitcode(status), text


@contextlib.contextmanager
def alarm(process: int) -> Iterator[list[bool]]:
    """Kills a process that takes too long, and says so in the list."""
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
        print(json.dumps(one(Path(line.rstrip("\n")))), flush=True)
