"""The scripted backend keeps what backends promise, so that tests on it are worth something."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.core.backend_contract import SLOTS, BackendContract, Subject
from tests.engine.core.scripted_loop import CHAOS, SIZE
from tests.support.scripted import ScriptedBackend

CONTEXT, IDLE_CHUNK_TOKENS, ALIKE = 128, 64, 60

STRICTER = "tokens at once", "the prompt is not there to be kept"
"""Of what it writes down, that which a backend must bear and the loop never asks for."""


def opened() -> ScriptedBackend:
    return ScriptedBackend(CHAOS, SLOTS, CONTEXT, IDLE_CHUNK_TOKENS, ALIKE)


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
    """Every promise, though no file is read."""
