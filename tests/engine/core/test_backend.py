"""The scripted backend satisfies the contract of backends, so that tests can rely on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.core.backend_contract import SLOTS, BackendContract, Subject
from tests.engine.core.scripted_loop import CHAOS, SIZE
from tests.support.scripted import ScriptedBackend

CONTEXT, MAX_CHUNK_TOKENS, BATCH_INVARIANT = 128, 96, 60

STRICTER = "tokens at once", "the prompt is not there to be kept"
"""Violations that it records although backends must support them: the loop never does this."""


def opened() -> ScriptedBackend:
    return ScriptedBackend(CHAOS, SLOTS, CONTEXT, MAX_CHUNK_TOKENS, BATCH_INVARIANT)


@pytest.fixture
def backend() -> Iterator[ScriptedBackend]:
    backend = opened()
    yield backend
    assert [
        violation
        for violation in backend.violations
        if not any(words in violation for words in STRICTER)
    ] == []


@pytest.fixture
def subject() -> Subject:
    return Subject(
        opened,
        SIZE,
        prompt=tuple(10 + 7 * n % 200 for n in range(50)),
        cuts=[[2], [9, 30], [8, 16, 24, 32, 40, 48]],
        adapters=(Path("one"), Path("two")),
        not_adapters=[Path()],
    )


class TestScriptedBackend(BackendContract):
    """The whole contract, with adapters that are not read from files."""
