"""Renders hostile templates in processes of their own, with limits on memory and CPU time.

`python -m tests.support.bounded` reads a JSON list of `[source, variables]` from standard input and
writes one line of JSON for each: the type of the error that stopped the rendering, its message, or
the end of the process. Each is rendered in a fork, so that none can affect the next.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from friendli_endpoint.chat.prompt.sandbox import meter
from friendli_endpoint.chat.prompt.template import ChatTemplate, ChatTemplateError
from friendli_endpoint.generation import RequestError

CPU_SECONDS = 6
"""Limit of the process; the sandbox should stop after half a second already."""

MEMORY = 640 * 2**20
"""Bytes that a rendering may map: `MAX_BYTES`, and as much again for what is not charged."""


def rendered(attacks: list[tuple[str, dict[str, Any]]]) -> list[dict[str, str]]:
    """Renders templates with variables, each in its own process; returns how each ended."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.support.bounded"],
        input=json.dumps(attacks),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        timeout=CPU_SECONDS * len(attacks),
    )
    return [json.loads(line) for line in finished.stdout.splitlines()]


def _ending(source: str, variables: dict[str, Any]) -> dict[str, str]:
    try:
        text = ChatTemplate(source, {}).render([], variables)
    except ChatTemplateError as error:
        return {"error": "ChatTemplateError", "message": str(error)}
    except RequestError as error:
        return {"error": type(error.__cause__).__name__, "message": error.message}
    return {"error": "", "message": text[:100]}


def _in_fork(source: str, variables: dict[str, Any]) -> dict[str, str]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        mapped = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (mapped, mapped))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(BaseException):
            os.write(writer, json.dumps(_ending(source, variables)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        line = pipe.read()
    _, status = os.waitpid(child, 0)
    if not line:
        return {"error": "process ended", "message": str(os.waitstatus_to_exitcode(status))}
    ended: dict[str, str] = json.loads(line)
    return ended


if __name__ == "__main__":
    meter.MAX_SECONDS = 0.5
    for attack in json.load(sys.stdin):
        print(json.dumps(_in_fork(*attack)), flush=True)
