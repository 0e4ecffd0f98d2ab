"""Runs commands of the endpoint, each in a forked process: `python -m tests.faults.launcher`.

Reads one `Command` per line from standard input as JSON, and answers each with a line of JSON: how
its process ended, and how an endpoint that it served answered. The processes are forked from this
one, which has imported all modules and opened no model.
"""

import contextlib
import gc
import json
import logging
import os
import resource
import selectors
import signal
import ssl
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any

from friendli_endpoint.cli import main
from friendli_endpoint.cli.commands import COMMANDS
from friendli_endpoint.cli.commands import load as load_command
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.trials import Trials
from friendli_endpoint.server.run import run as serve_endpoint
from tests.contract.live import COMPLETIONS, environment

__all__ = ["Command", "Ended", "Launcher", "launcher"]

MODULES = ("friendli_endpoint.cli.checks", "friendli_endpoint.cli.serve", "rich.markup")
"""What commands import when they run."""

SECONDS = 30.0
"""Time after which a process is killed, and counts as hung."""

BODY = json.dumps(
    {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
).encode()


@dataclass(frozen=True)
class Command:
    """A command to run.

    Attributes:
        arguments: Arguments of the command line.
        variables: Environment variables to set.
        tried: Whether the model is tried in a process of its own, as always outside of tests.
        limit: Maximum address space in bytes beyond that of the launcher; None for no limit.
        token: Bearer token of the request.
    """

    arguments: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)
    tried: bool = False
    limit: int | None = None
    token: str = ""


@dataclass(frozen=True)
class Ended:
    """End of a command.

    Attributes:
        code: Exit code, negative for a signal; None if it did not end in time.
        errors: Standard error.
        status: Status of the answer to a completion if the endpoint has served; 0 if it had none.
    """

    code: int | None
    errors: str
    status: int | None


def run(command: Command) -> Ended:
    """Runs a command in a forked process; a command that serves gets one request and a signal."""
    read_out, write_out = os.pipe()
    read_err, write_err = os.pipe()
    process = os.fork()
    if not process:
        os.dup2(write_out, 1)
        os.dup2(write_err, 2)
        _run_in_child(command)
    os.close(write_out)
    os.close(write_err)
    try:
        return _watch(process, read_out, read_err, command.token)
    finally:
        os.close(read_out)
        os.close(read_err)


def _run_in_child(command: Command) -> None:
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.environ.update(command.variables)
        if not command.tried:
            setattr(Trials, "try_model", lambda _self, _path: None)  # noqa: B010
        if command.limit is not None:
            with open("/proc/self/statm") as statm:
                used = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            resource.setrlimit(resource.RLIMIT_AS, (used + command.limit,) * 2)
        sys.argv = ["friendli-endpoint", *command.arguments]
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        logging.shutdown()
        os._exit(code)


def _watch(process: int, out: int, err: int, token: str) -> Ended:
    """Reads both pipes until the process has ended or is killed."""
    texts = {out: b"", err: b""}
    deadline = time.monotonic() + SECONDS
    asked, status, hung = False, None, False
    with selectors.DefaultSelector() as selector:
        for descriptor in texts:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            if time.monotonic() > deadline and not hung:
                hung = True
                os.kill(process, signal.SIGKILL)
            for key, _ in selector.select(1.0):
                chunk = os.read(key.fd, 1 << 16)
                texts[key.fd] += chunk
                if not chunk:
                    selector.unregister(key.fd)
            if not asked and b"\n" in texts[out] and texts[out].startswith(b"Serving "):
                asked = True
                status = _ask(texts[out].decode().partition(" on ")[2].split()[0], token)
                os.kill(process, signal.SIGTERM)
    _, ended = os.waitpid(process, 0)
    code = None if hung else os.waitstatus_to_exitcode(ended)
    return Ended(code, texts[err].decode(errors="replace"), status)


def _ask(address: str, token: str) -> int:
    """Returns the status of the answer to a completion; 0 if there is none."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    request = urllib.request.Request(address + COMPLETIONS, BODY, headers)
    context = ssl._create_unverified_context()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(request, timeout=SECONDS / 2) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


class Launcher:
    """The launcher's process, from the side of the tests."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *arguments: str, **options: Any) -> Ended:
        """Runs a command; see `Command` for the options."""
        assert self._process.stdin is not None and self._process.stdout is not None
        command = Command(arguments, **options)
        self._process.stdin.write(json.dumps(asdict(command)) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def launcher() -> Iterator[Launcher]:
    """Starts the launcher, and ends it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.launcher"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(NO_COLOR="1"),
    )
    try:
        yield Launcher(process)
    finally:
        process.communicate()


if __name__ == "__main__":
    assert callable(serve_endpoint)  # `main` would import it only after the fork
    load(find_library())
    for module in MODULES:
        import_module(module)
    for name in COMMANDS:
        load_command(name)
    gc.freeze()
    for line in sys.stdin:
        given = json.loads(line)
        given["arguments"] = tuple(given["arguments"])
        print(json.dumps(asdict(run(Command(**given)))), flush=True)
