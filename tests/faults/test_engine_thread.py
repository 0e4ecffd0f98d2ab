"""Every callback of the engine's thread raises once: at its first, second or last call.

In each cell, a constrained request, a free one with an adapter and a client that leaves run at the
same time. Every request is answered: correctly, or with an error; the next requests are answered
correctly, unless the engine has ended: then requests that waited for it are a 500, and later ones a
503.
"""

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from friendli_endpoint.engine.core.backend import Backend
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.core.outbox import Deliver
from friendli_endpoint.generation import GenerationRequest, Guide
from tests.faults.engine_thread import (
    ADAPTERS,
    BACKEND,
    ENGINE,
    GUIDE,
    MESSAGES,
    ON_DISK,
    REOPENING,
    Fault,
    Outcome,
    Scripted,
    completion,
    constrained,
    running,
)
from tests.http.scripted import BOUND

CALLBACKS = (*GUIDE, *BACKEND, *ADAPTERS, *MESSAGES, *ENGINE)

MAX_FAILED = {
    **dict.fromkeys(CALLBACKS, 2),
    **dict.fromkeys(GUIDE, 1),
    **dict.fromkeys(ADAPTERS, 0),
    "add": 1,
    "report": 0,
    "deliver": 1,
}
"""Maximum number of the two completions that may fail with each callback."""

SPECIAL = (*REOPENING, "exhausted")
"""Callbacks that are not called in a workload without any fault."""

POSITIONS: dict[str, Callable[[int], int]] = {
    "first": lambda _count: 1,
    "second": lambda count: min(2, count),
    "last": lambda count: count,
}
"""The number of the call that fails, by the number of calls without a fault."""

ENDED = "cannot be started again"


@dataclass(frozen=True)
class Shape:
    """Number of choices of the constrained request, and whether requests are streamed."""

    n: int
    stream: bool


SHAPES = [Shape(n, stream) for n, stream in itertools.product((1, 3), (False, True))]


@dataclass(frozen=True)
class Found:
    """Outcomes of a workload: loading an adapter, two concurrent requests, and two later ones."""

    loaded: Outcome
    concurrent: tuple[Outcome, ...]
    after: Outcome
    health: int
    last: Outcome


def workload(endpoint: Scripted, shape: Shape) -> Found:
    loaded = endpoint.ask("POST", "/dedicated/v1/adapters", {"route": "poet", "file": "poet"})
    model = "m:poet" if loaded.status == 201 else "m"
    concurrent = endpoint.complete(
        constrained("Write it down.", n=shape.n, stream=shape.stream),
        completion("Hello!", stream=shape.stream, model=model),
        leave=True,
    )
    if loaded.status == 201:
        endpoint.ask("DELETE", "/dedicated/v1/adapters/poet")
    (after,) = endpoint.complete(constrained("And again."))
    health = endpoint.ask("GET", "/health").status
    (last,) = endpoint.complete(constrained("And again."))
    return Found(loaded, tuple(concurrent), after, health, last)


@cache
def without_fault(name: str, shape: Shape, folder: Path) -> tuple[Found, Counter[str]]:
    """Returns the outcomes without a fault, and the number of calls of each callback."""
    with pytest.MonkeyPatch().context() as patch:
        fault = Fault(name)
        with running(fault, patch, folder) as endpoint:
            found = workload(endpoint, shape)
    return found, fault.calls


def is_failure(outcome: Outcome) -> bool:
    """Checks that an error is one of the engine, in the common format."""
    if outcome.error is None:
        return False
    assert outcome.status in (200, 500, 503)
    assert set(outcome.error) == {"message", "type", "param", "code"}
    assert outcome.error["code"] == "engine_failure"
    assert outcome.error["message"].rstrip(": ") == outcome.error["message"]
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the adapters, whose files the scripted backend does not read."""
    return tmp_path_factory.mktemp("adapters")


def methods(protocol: type) -> set[str]:
    """Returns the names of the public methods of a protocol."""
    return {name for name in vars(protocol) if callable(getattr(protocol, name)) and name[0] != "_"}


def test_the_matrix_has_every_callback_of_the_engine() -> None:
    assert methods(Guide) | {"make_guide"} == set(GUIDE)
    assert methods(Backend) - {"close"} == {*BACKEND, *ON_DISK, *ADAPTERS}


@pytest.mark.load
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("name", CALLBACKS)
def test_a_callback_that_raises_once_fails_the_requests_that_it_affects(
    name: str, position: str, shape: Shape, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    expected, _ = without_fault("exhausted" if name == "exhausted" else "", shape, folder)
    _, calls = without_fault(name if name in SPECIAL else "", shape, folder)
    count = calls[name]
    assert count, f"the workload does not call {name}"
    # The number of calls depends on how the requests meet in a step, and may be a little lower.
    for number in range(POSITIONS[position](count), 0, -1):
        fault = Fault(name, number, MemoryError if shape.stream else OSError)
        with running(fault, monkeypatch, folder) as endpoint:
            found = workload(endpoint, shape)
        if fault.has_fired:
            break
    assert fault.has_fired
    failed = list(map(is_failure, found.concurrent))
    assert sum(failed) <= MAX_FAILED[name]
    for outcome, right, has_failed in zip(
        found.concurrent, expected.concurrent, failed, strict=True
    ):
        assert has_failed or outcome.choices == right.choices
    if found.health == 503:
        assert name in REOPENING
        # The next request may arrive while the engine tries to start again, and wait for that.
        assert found.after.status in (500, 503) and found.last.status == 503
        for outcome in (found.after, found.last):
            assert outcome.error is not None and ENDED in outcome.error["message"]
    else:
        assert found.health == 200
        assert is_failure(found.after) or found.after.choices == expected.after.choices
        assert found.last.choices == expected.last.choices or is_failure(found.last)


@pytest.mark.usefixtures("quiet")
def test_a_request_that_arrives_while_the_engine_starts_again_waits_for_that(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    submitted = threading.Semaphore(0)
    submit = EngineLoop.submit

    class LateFault(Fault):
        def __call__(self, name: str) -> None:
            if name == "open":
                for _ in range(2):
                    assert submitted.acquire(timeout=BOUND)
            super().__call__(name)

    def counted(self: EngineLoop, request: GenerationRequest, deliver: Deliver) -> None:
        submit(self, request, deliver)
        submitted.release()

    monkeypatch.setattr(EngineLoop, "submit", counted)
    with running(LateFault("open", 1), monkeypatch, folder) as endpoint:
        cut, waiting, late = (endpoint.complete(completion("Hello!"))[0] for _ in range(3))
    assert is_failure(cut) and is_failure(waiting) and is_failure(late)
    assert (cut.status, waiting.status, late.status) == (500, 500, 503)
    for outcome in (waiting, late):
        assert outcome.error is not None and ENDED in outcome.error["message"]
