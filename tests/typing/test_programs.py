"""Types of the client, as type checkers see them from outside."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
MYPY_CACHE = Path(__file__).parents[2] / ".mypy_cache" / "programs"
MARKED = {
    number
    for number, line in enumerate((PROGRAMS / "bad.py").read_text().splitlines(), 1)
    if line.endswith("# wrong")
}


GOOD, BAD = "good.py", "bad.py"
Found = dict[str, dict[int, str]]
"""Messages by program and line."""


def mypy(_folder: Path) -> Found:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file="),
            *(f"--cache-dir={MYPY_CACHE}", "--hide-error-context", "--no-pretty"),
            *(str(PROGRAMS / name) for name in (GOOD, BAD)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    found: Found = {GOOD: {}, BAD: {}}
    for path, line, message in re.findall(r"^(.*?):(\d+): error: (.*)$", done.stdout, re.M):
        found[Path(path).name][int(line)] = message
    return found


def basedpyright(folder: Path) -> Found:
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    for name in (GOOD, BAD):
        shutil.copy(PROGRAMS / name, folder)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "basedpyright", "--outputjson", "--project", str(folder)),
            *("--pythonpath", sys.executable),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    found: Found = {GOOD: {}, BAD: {}}
    for diagnostic in json.loads(done.stdout)["generalDiagnostics"]:
        if diagnostic["severity"] == "error" and diagnostic.get("rule") != "reportUnusedExpression":
            line = diagnostic["range"]["start"]["line"] + 1
            found[Path(diagnostic["file"]).name][line] = diagnostic["message"]
    return found


@pytest.fixture(scope="module", params=[mypy, basedpyright], ids=lambda checker: checker.__name__)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Errors that a type checker reports for both programs, in one run."""
    checker: Callable[[Path], Found] = request.param
    return checker(tmp_path_factory.mktemp("checked"))


def test_valid_program_has_no_errors(found: Found) -> None:
    assert found[GOOD] == {}


def test_mistakes_are_reported(found: Found) -> None:
    assert found[BAD].keys() == MARKED


WRONG = {
    "max_tokens": '"5"',
    "temperature": '"hot"',
    "logprobs": "3",
    "stop": "5",
    "seed": '"x"',
    "tools": "5",
    "tool_choice": "4",
    "logit_bias": "7",
    "chat_template_kwargs": "[]",
    "extra_body": "1",
    "http_headers": "2",
    "server_url": "3",
    "timeout_ms": '"a"',
    "deadline": '"a"',
    "retries": "3",
    "stream": '"x"',
    "response_format": "3",
}
"""A value of the wrong type for arguments of `complete()`."""
MAX_ERROR = 1_200
"""Characters of mypy's output about one wrong argument; with all overloads, it is 10,000."""


def test_mypy_reports_a_wrong_argument_shortly_and_by_name(tmp_path: Path) -> None:
    """The errors of calls of the four overloads of both clients."""
    calls = [
        f"print({client}.dedicated.chat.complete(model='e', messages=hello, {name}={value}{more}))"
        for client in ("SyncFriendli()", "AsyncFriendli()")
        for more in ("", ", stream=True", ", stream=flag", ", response_format=int")
        for name, value in WRONG.items()
        if f"{name}=" not in more
    ]
    program = tmp_path / "program.py"
    head = [
        "from friendli import AsyncFriendli, SyncFriendli, models",
        "hello = [models.UserMessage(content='Hi')]",
        "flag = bool(hello)",
    ]
    program.write_text("\n".join([*head, *calls]))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--no-error-summary", "--config-file="),
            *(f"--cache-dir={MYPY_CACHE}", "--hide-error-context", "--no-pretty", str(program)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    texts: dict[int, str] = {}
    for line, text in re.findall(r"^.*?program\.py:(\d+): (.*\n)", done.stdout, re.M):
        texts[int(line)] = texts.get(int(line), "") + text
    for number, call in enumerate(calls, len(head) + 1):
        error = texts[number]
        name = call.rpartition("hello, ")[2].partition("=")[0]
        assert error.startswith(f'error: Argument "{name}" to "complete"'), (call, error)
        assert len(error) <= MAX_ERROR, (call, len(error))
