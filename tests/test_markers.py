"""Markers of tests: the guard against tests that open a model unmarked, and samples of cases."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from friendli_endpoint.engine.llama.model import LlamaModel
from tests.conftest import FAST_SHARE, Sample


def test_a_test_without_the_marker_cannot_open_a_model() -> None:
    with pytest.raises(AssertionError, match="opens a model, but has no marker `model`"):
        LlamaModel(ctypes.CDLL(None), Path("absent.gguf"))


@pytest.mark.parametrize(
    "arguments",
    [("friendli_endpoint.cli", "serve"), ("friendli_endpoint.engine.llama.trial", "absent.gguf")],
)
def test_a_test_without_the_marker_cannot_start_a_process_that_opens_a_model(
    arguments: tuple[str, ...],
) -> None:
    with pytest.raises(AssertionError, match="starts a process that opens a model"):
        subprocess.run([sys.executable, "-m", *arguments], check=False)


@pytest.mark.model
def test_a_test_with_the_marker_can_open_a_model() -> None:
    with pytest.raises(Exception, match="cannot read"):
        LlamaModel(ctypes.CDLL(None), Path("absent.gguf"))


class Case(pytest.Item):
    def runtest(self) -> None:
        raise NotImplementedError


def cases(session: pytest.Session, name: str, count: int, *markers: str) -> list[pytest.Item]:
    found: list[pytest.Item] = []
    for number in range(count):
        case = Case.from_parent(session, name=f"{name}[{number}]")
        for marker in markers:
            case.add_marker(marker)
        found.append(case)
    return found


@pytest.mark.parametrize(
    ("count", "selected"), [(1, 1), (FAST_SHARE, 1), (FAST_SHARE + 1, 2), (25 * FAST_SHARE, 25)]
)
def test_a_share_of_the_cases_of_each_exhaustive_test_is_selected(
    request: pytest.FixtureRequest, count: int, selected: int
) -> None:
    sample = Sample()
    for name in ("first", "second"):
        marked = cases(request.session, name, count, "exhaustive", "property")
        assert sum(map(sample, marked)) == selected


def test_every_case_of_other_tests_is_selected(request: pytest.FixtureRequest) -> None:
    assert all(map(Sample(), cases(request.session, "other", 3 * FAST_SHARE, "property")))
