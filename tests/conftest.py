"""Automatic markers of tests, and a guard against tests that open a model without the marker."""

import functools
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from friendli_endpoint.engine.llama import library
from friendli_endpoint.engine.llama.model import LlamaModel
from tests.contract.served import IN_PROCESS, PLACEMENTS, Placement

TESTS = Path(__file__).parent

LOAD_FOLDER = f"{TESTS / 'load'}/"
MODEL_FOLDERS = (f"{TESTS / 'contract'}/", f"{TESTS / 'families'}/")
"""Folders whose tests all use a model, or an endpoint that serves one."""

MODEL_FIXTURES = frozenset({"context", "embedded"})
"""Fixtures that open a model, in any module."""

MODEL_PROGRAMS = (
    {"friendli_endpoint.cli", "serve"},
    {"friendli_endpoint.engine.llama.trial"},
    {"tests.engine.llama.long_runs"},
    {"tests.faults.launcher"},
)
"""Arguments of processes that open a model."""

FAST = "fast"
FAST_EXAMPLES = 20
"""Maximum number of examples of a property in `make check`, even if the test sets more."""

FAST_SHARE = 10
"""Number of cases of a test marked `exhaustive` of which one runs in `make check`."""

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""No deadlines, because times mean little on a busy machine."""

settings.register_profile("untimed", UNTIMED)
settings.register_profile(FAST, UNTIMED, max_examples=FAST_EXAMPLES)
settings.load_profile("untimed")

_without_model: str | None = None
"""Node id of the running test if it must not open a model, else None."""

_open = LlamaModel.__init__


@pytest.fixture(scope="session", autouse=True)
def prepare_in_threads() -> Iterator[None]:
    """Endpoints in the process of a test start no worker processes, unless the test sets them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRIENDLI_ENDPOINT_WORKERS", "0")
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--placement",
        choices=sorted(PLACEMENTS),
        default=IN_PROCESS,
        help="where engines of served endpoints run; "
        f"with another one than {IN_PROCESS}, only tests that depend on it run",
    )
    parser.addoption("--library", type=Path, help="llama.cpp library: a file or a folder")


@pytest.fixture(scope="session")
def placement(pytestconfig: pytest.Config) -> Placement:
    """Returns where the engines of the endpoints that a test serves have to run."""
    return PLACEMENTS[pytestconfig.getoption("--placement")]


ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--placement") != IN_PROCESS:
        deselect(config, items, lambda item: "placement" in getattr(item, "fixturenames", ()))
    is_fast = config.getoption("--hypothesis-profile") == FAST
    if is_fast:
        deselect(config, items, Sample())
    for item in items:
        if ADDRESS.search(item.nodeid):  # every process would collect tests of other names
            raise pytest.UsageError(f"{item.nodeid}: its parameters need ids")
        if str(item.path).startswith(LOAD_FOLDER):
            item.add_marker("load")
        if opens_model(item):
            item.add_marker("model")
        if isinstance(item, pytest.Function) and getattr(item.obj, "is_hypothesis_test", False):
            item.add_marker("property")
            if is_fast:
                limit_examples(getattr(item.obj, "__func__", item.obj))


def deselect(
    config: pytest.Config, items: list[pytest.Item], is_selected: Callable[[pytest.Item], bool]
) -> None:
    """Removes the items that are not selected."""
    selected: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        (selected if is_selected(item) else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = selected


class Sample:
    """Selects one in `FAST_SHARE` cases of each test marked `exhaustive`, and all other tests."""

    def __init__(self) -> None:
        self._counts = Counter[str]()

    def __call__(self, item: pytest.Item) -> bool:
        if item.get_closest_marker("exhaustive") is None:
            return True
        test = item.nodeid.partition("[")[0]
        self._counts[test] += 1
        return self._counts[test] % FAST_SHARE == 1


def limit_examples(test: Any) -> None:
    """Lowers the `max_examples` of a test's own `@settings`, which a profile cannot do.

    The attribute is where hypothesis stores the settings of a test.
    """
    given: settings = test._hypothesis_internal_use_settings
    limit = min(given.max_examples, FAST_EXAMPLES)
    test._hypothesis_internal_use_settings = settings(given, max_examples=limit, deadline=None)


def opens_model(item: pytest.Item) -> bool:
    fixtures = MODEL_FIXTURES.intersection(getattr(item, "fixturenames", ()))
    return bool(fixtures) or str(item.path).startswith(MODEL_FOLDERS)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    global _without_model
    is_marked = any(item.get_closest_marker(name) for name in ("model", "load"))
    _without_model = None if is_marked else item.nodeid
    try:
        return (yield)
    finally:
        _without_model = None


def _check_marked(action: str) -> None:
    if _without_model is not None:
        raise AssertionError(f"{_without_model} {action}, but has no marker `model`")


def _checked_open(self: LlamaModel, *args: Any, **kwargs: Any) -> None:
    _check_marked("opens a model")
    _open(self, *args, **kwargs)


def _check_process(event: str, args: tuple[object, ...]) -> None:
    if event == "subprocess.Popen" and isinstance(args[1], list | tuple):
        arguments = set(map(str, args[1]))
        if any(program <= arguments for program in MODEL_PROGRAMS):
            _check_marked("starts a process that opens a model")


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    if path := config.getoption("--library"):
        found = library.find_library(path)
        default = functools.wraps(library._default_library)(lambda: found)
        patch.setattr(library, "_default_library", default)
        patch.setenv("FRIENDLI_ENDPOINT_LIBRARY", str(found))
    patch.setattr(LlamaModel, "__init__", _checked_open)
    config.add_cleanup(patch.undo)
    sys.addaudithook(_check_process)
