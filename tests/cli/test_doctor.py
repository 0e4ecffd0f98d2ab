"""The output of `doctor`, as text and as JSON."""

import json

import pytest

from friendli_endpoint.cli import checks
from friendli_endpoint.cli.checks import CheckResult

from .command import run

pytestmark = pytest.mark.usefixtures("nothing_set")

GOOD = CheckResult("memory", "3 x [red]256[/] tokens fit :+1:")
BAD = CheckResult("port", "127.0.0.1:1 is in use", "set --port to [another] port")


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> list[CheckResult]:
    """Results of the checks, which a test may change."""
    results = [GOOD]
    monkeypatch.setattr(checks, "run_checks", lambda _settings: iter(results))
    return results


def test_every_result_is_printed_as_a_line(results: list[CheckResult]) -> None:
    assert (result := run("doctor")).exit_code == 0
    assert result.stdout == "ok       memory    3 x [red]256[/] tokens fit :+1:\n"
    results.append(BAD)
    assert (result := run("doctor")).exit_code == 1
    assert result.stdout.splitlines()[1] == (
        "problem  port      127.0.0.1:1 is in use  ->  set --port to [another] port"
    )


def test_results_are_printed_as_json(results: list[CheckResult]) -> None:
    results.append(BAD)
    result = run("doctor", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {"ok": True, "check": GOOD.check, "says": GOOD.says, "do": None},
        {"ok": False, "check": BAD.check, "says": BAD.says, "do": BAD.do},
    ]


@pytest.mark.model
def test_a_line_has_the_check_and_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "available_memory", lambda: 10 << 30)
    monkeypatch.setattr(checks, "available_threads", lambda: 2)
    monkeypatch.setattr(checks, "measure_free", lambda: 1.9)
    result = run("doctor", "--port", "0", "--threads", "3")
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert [line.split()[1] for line in lines] == [
        *(
            "python",
            "extras",
            "library",
            "devices",
            "model",
            "template",
            "tools",
            "memory",
            "threads",
        ),
        *("port", "access"),
    ]
    (wrong,) = (line for line in lines if not line.startswith("ok "))
    assert wrong.split()[0] == "problem"
    assert wrong.endswith("->  --threads 2")


def test_an_invalid_setting_exits_with_2() -> None:
    assert run("doctor", "--context", "1").exit_code == 2
