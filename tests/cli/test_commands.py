"""Commands are imported when they are invoked, and import what does the work when it runs."""

import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from friendli._version import VERSION
from friendli_endpoint.bench.servers import PEERS
from friendli_endpoint.bench.wire import DIALECTS
from friendli_endpoint.bench.workloads import WORKLOAD_NAMES
from friendli_endpoint.cli.commands import COMMANDS, bench

from .command import run

LIST = "import sys, json; sys.argv[0] = 'friendli-endpoint'; from friendli_endpoint import __main__"
PROGRAM = f"""{LIST}
try:
    __main__.main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
HEAVY = {
    "aiohttp", "asyncio", "cachetools", "ctypes", "fastapi", "gguf", "httptools", "httpx2",
    "jinja2", "llguidance", "matplotlib", "msgpack", "numpy", "opentelemetry", "prometheus_client",
    "pydantic", "pydantic_settings", "starlette", "uvicorn", "uvloop", "xllamacpp",
}  # fmt: skip
CLI = {"cli", "cli.commands"}
SETTINGS = {"cli.errors", "cli.flags", "files", "settings"}
OURS = {
    ("version",): CLI | {"cli.commands.version"},
    ("--version",): CLI,
    ("--help",): CLI,
    ("pull", "--help"): CLI | {"cli.commands.pull"},
    ("models", "--help"): CLI | {"cli.commands.models"},
    ("chat", "--help"): CLI | {"cli.commands.chat"},
    ("bench", "--help"): CLI | {"cli.commands.bench"},
    ("version", "--help"): CLI | {"cli.commands.version"},
    ("serve", "--help"): CLI | SETTINGS | {"cli.commands.serve"},
    ("doctor", "--help"): CLI | SETTINGS | {"cli.commands.doctor"},
}
"""Modules of `friendli_endpoint` that a command imports."""
TYPER = {"asyncio", "ctypes", "pydantic"}
"""What typer itself imports to read options."""


def imported(*arguments: str, code: int = 0) -> set[str]:
    """Returns the names of all modules that a command has imported in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert bool(done.stdout.strip()) == (code == 0)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", OURS, ids=" ".join)
def test_a_command_imports_only_what_it_shows(arguments: tuple[str, ...]) -> None:
    modules = imported(*arguments)
    own = {name.partition(".")[2] for name in modules if name.startswith("friendli_endpoint.")}
    assert own - {"__main__"} == OURS[arguments]
    allowed = {*TYPER, "pydantic_settings"} if SETTINGS <= own else TYPER
    assert modules & HEAVY <= allowed
    assert {name for name in modules if name.startswith("friendli.")} <= {"friendli._version"}


@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_an_invalid_setting_is_rejected_before_the_engine_is_imported(command: str) -> None:
    modules = imported(command, "--max-sequences", "0", code=2)
    assert modules & HEAVY <= {*TYPER, "pydantic_settings"}


def test_help_of_every_command_is_held() -> None:
    assert {arguments[0] for arguments in OURS if arguments[1:] == ("--help",)} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_short_help_is_the_first_sentence_of_the_command(name: str) -> None:
    function = getattr(import_module(f"friendli_endpoint.cli.commands.{name}"), name)
    first, _, _ = (inspect.getdoc(function) or "").partition("\n\n")
    assert " ".join(first.split()) == COMMANDS[name]


def test_every_module_of_a_command_is_in_the_table() -> None:
    folder = Path(import_module("friendli_endpoint.cli.commands").__path__[0])
    assert {path.stem for path in folder.glob("[a-z]*.py")} == set(COMMANDS)


def test_help_lists_every_command() -> None:
    shown = run("--help").stdout
    for name, text in COMMANDS.items():
        assert f" {name} " in shown
        assert text[:30] in shown


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_printed(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (0, f"{VERSION}\n")


def test_an_unknown_command_is_an_error_that_suggests_a_known_one() -> None:
    result = run("serv")
    assert result.exit_code == 2
    assert "serve" in result.stderr


def test_names_in_the_help_of_bench_are_those_of_its_tables() -> None:
    assert bench.DIALECT_NAMES.split(", ") == [*DIALECTS]
    assert bench.PEER_NAMES.split(", ") == [*PEERS]
    assert f"{bench.SINGLE_NAMES}, {bench.SWEEP_NAMES}".split(", ") == WORKLOAD_NAMES
