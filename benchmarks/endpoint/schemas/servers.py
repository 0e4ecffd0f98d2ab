"""Lists the tools of MCP servers over standard input and output."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

from benchmarks.endpoint.schemas.installing import installed
from benchmarks.endpoint.schemas.sources import ServerSource

__all__ = ["tool_schemas"]

_TIMEOUT_SECONDS = 60
_ISOLATED = ("unshare", "--map-root-user", "--net")
_VARIABLES = ("PATH", "LANG")
"""Variables that a server inherits; credentials are not among them."""


def tool_schemas(source: ServerSource, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the input and output schemas of a server's tools, with their names.

    The server runs once, in a network namespace without interfaces; its answer is kept.

    Raises:
        RuntimeError: The server cannot be installed, or does not answer.
    """
    home = installed(source.registry, [source.pinned], folder)
    answer = home / "tools.json"
    if not answer.exists():
        answer.write_text(json.dumps(_listed(_command(source, home), source, home)))
    for tool in json.loads(answer.read_text()):
        for key in ("inputSchema", "outputSchema"):
            if isinstance(tool.get(key), dict):
                yield f"{tool['name']}.{key}", tool[key]


def _command(source: ServerSource, home: Path) -> list[str]:
    if source.registry == "pypi":
        return [sys.executable, str(home / "bin" / source.name)]
    package = home / "node_modules" / source.name
    binary = json.loads((package / "package.json").read_text())["bin"]
    script = binary if isinstance(binary, str) else next(iter(binary.values()))
    return ["node", str(package / script)]


def _listed(command: list[str], source: ServerSource, home: Path) -> list[dict[str, Any]]:
    isolated = _ISOLATED if shutil.which(_ISOLATED[0]) else ()
    environment = {
        **{name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "HOME": str(home),
        "PYTHONPATH": str(home),
        **source.environment,
    }
    server = subprocess.Popen(
        [*isolated, *command, *source.arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=home,
        text=True,
    )
    deadline = Timer(_TIMEOUT_SECONDS, server.kill)
    deadline.start()
    try:
        return _session(server)
    except (OSError, ValueError, KeyError) as error:
        raise RuntimeError(f"{source.label} does not list its tools: {error!r}") from error
    finally:
        deadline.cancel()
        server.kill()
        server.communicate()


def _session(server: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    client = {"name": "friendli-benchmarks", "version": "1"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    _answer(server, 1, "initialize", hello)
    _send(server, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    tools: list[dict[str, Any]] = []
    number, cursor = 2, None
    while True:
        page = _answer(server, number, "tools/list", {"cursor": cursor} if cursor else {})
        tools += page["tools"]
        number, cursor = number + 1, page.get("nextCursor")
        if not cursor:
            return tools


def _answer(
    server: "subprocess.Popen[str]", number: int, method: str, params: dict[str, Any]
) -> dict[str, Any]:
    _send(server, {"jsonrpc": "2.0", "id": number, "method": method, "params": params})
    assert server.stdout is not None
    for line in server.stdout:
        try:
            message = json.loads(line)
        except ValueError:
            continue  # A line of the server's log.
        if isinstance(message, dict) and message.get("id") == number and "method" not in message:
            result: dict[str, Any] = message["result"]
            return result
    raise ValueError("it has ended")


def _send(server: "subprocess.Popen[str]", message: dict[str, Any]) -> None:
    assert server.stdin is not None
    server.stdin.write(json.dumps(message) + "\n")
    server.stdin.flush()
