"""What the doctor prints of its findings, to people and to programs."""

import json
import sys

import pytest

from friendli_endpoint.cli import checks
from friendli_endpoint.cli.checks import Finding

from .command import run

pytestmark = pytest.mark.usefixtures("nothing_set")

GOOD = Finding("memory", "3 x [red]256[/] tokens fit :+1:")
BAD = Finding("port", "127.0.0.1:1 is in use", "choose [another] one with --port")


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What is found, whatever there is."""
    findings = [GOOD]
    monkeypatch.setattr(
        sys.modules["friendli_endpoint.cli.doctor"], "look", lambda _settings: iter(findings)
    )
    return findings


def test_every_finding_is_a_line_as_it_was_said(findings: list[Finding]) -> None:
    assert (result := run("doctor")).exit_code == 0
    assert result.stdout == "ok       memory    3 x [red]256[/] tokens fit :+1:\n"
    findings.append(BAD)
    assert (result := run("doctor")).exit_code == 1
    assert result.stdout.splitlines()[1] == (
        "problem  port      127.0.0.1:1 is in use  ->  choose [another] one with --port"
    )


def test_programs_read_every_finding_as_json(findings: list[Finding]) -> None:
    findings.append(BAD)
    result = run("doctor", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {"ok": True, "check": GOOD.check, "says": GOOD.says, "do": None},
        {"ok": False, "check": BAD.check, "says": BAD.says, "do": BAD.do},
    ]


@pytest.mark.model
def test_a_line_says_what_is_looked_at_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "available_memory", lambda: 10 << 30)
    monkeypatch.setattr(checks, "available_threads", lambda: 2)
    result = run("doctor", "--port", "0", "--threads", "3")
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert [line.split()[1] for line in lines] == [
        "python", "extras", "library", "model", "template", "memory", "threads", "port", "access",
    ]  # fmt: skip
    (wrong,) = (line for line in lines if not line.startswith("ok "))
    assert wrong.split()[0] == "problem"
    assert wrong.endswith("->  --threads 2")


def test_a_setting_that_cannot_be_ends_it() -> None:
    assert run("doctor", "--context", "1").exit_code == 2
