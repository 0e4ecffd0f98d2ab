"""Automatic markers of tests, and a guard against tests that open a model without the marker."""

import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from friendli_endpoint.engine.llama import library
from friendli_endpoint.engine.llama.model import LlamaModel

TESTS = Path(__file__).parent

LOAD_FOLDER = TESTS / "load"
MODEL_FOLDERS = (TESTS / "contract", TESTS / "families")
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


ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    is_fast = config.getoption("--hypothesis-profile") == FAST
    for item in items:
        if ADDRESS.search(item.nodeid):  # every process would collect tests of other names
            raise pytest.UsageError(f"{item.nodeid}: its parameters need ids")
        if LOAD_FOLDER in item.path.parents:
            item.add_marker("load")
        if opens_model(item):
            item.add_marker("model")
        if isinstance(item, pytest.Function) and getattr(item.obj, "is_hypothesis_test", False):
            item.add_marker("property")
            if is_fast:
                limit_examples(getattr(item.obj, "__func__", item.obj))


def limit_examples(test: Any) -> None:
    """Lowers the `max_examples` of a test's own `@settings`, which a profile cannot do.

    The attribute is where hypothesis stores the settings of a test.
    """
    given: settings = test._hypothesis_internal_use_settings
    limit = min(given.max_examples, FAST_EXAMPLES)
    test._hypothesis_internal_use_settings = settings(given, max_examples=limit, deadline=None)


def opens_model(item: pytest.Item) -> bool:
    fixtures = MODEL_FIXTURES.intersection(getattr(item, "fixturenames", ()))
    folders = set(MODEL_FOLDERS).intersection(item.path.parents)
    return bool(fixtures or folders)


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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--library", type=Path, help="llama.cpp library: a file or a folder")


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
