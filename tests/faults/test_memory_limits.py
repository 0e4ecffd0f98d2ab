"""The address space of an endpoint is limited, from too small to enough.

Each limit ends in bounded time: with an answer, a 503, or exit code 1 or 2 and a sentence as the
last line on standard error; never with a traceback. Only the C libraries may end the process.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.launcher import Ended, Launcher, launcher
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs

pytestmark = pytest.mark.model

MIB = 1 << 20
LIMITS = [4, 8, 12, *range(16, 128, 8), *range(128, 256, 16), 320, 448]
"""Address space beyond that of a process that has imported everything, in MiB."""

ABORTED = re.compile(
    r"GGML_ASSERT|GGML_ABORT|std::bad_alloc|memory for thread-local data|insufficient memory"
)
"""Last words of a C library that ends the process because there is no memory."""

LOST_THREAD = "Exception ignored in thread started by"
"""Message of CPython if a new thread has no memory to begin; who started it then waits for ever."""


@pytest.fixture(scope="module")
def processes() -> Iterator[Launcher]:
    with launcher() as running:
        yield running


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_byte_pairs(tmp_path_factory.mktemp("model") / "model.gguf", LLAMA)


def serve(processes: Launcher, model: Path, limit: int, tried: bool) -> Ended:
    flags = ("--port", "0", "--threads", "1", "--max-sequences", "2", "--context", "256")
    arguments = ("serve", *flags, "--log-level", "error", "--model", str(model))
    return processes.run(*arguments, limit=limit * MIB, tried=tried)


@pytest.mark.parametrize(
    ("limit", "tried"), [*((limit, False) for limit in LIMITS), (8, True), (64, True), (448, True)]
)
def test_an_endpoint_with_little_memory_answers_or_ends_with_a_sentence(
    limit: int, tried: bool, processes: Launcher, model: Path
) -> None:
    ended = serve(processes, model, limit, tried)
    if ended.code is None:
        assert LOST_THREAD in ended.errors, f"hung: {ended.errors}"
        return
    assert "Traceback" not in ended.errors, ended.errors
    if ended.code < 0 or ended.code == 127:
        assert ABORTED.search(ended.errors), ended
    elif ended.status is not None:
        assert (ended.code, ended.status) in ((0, 200), (0, 503)), ended
    else:
        assert ended.code in (1, 2), ended
        assert ended.errors.splitlines()[-1].startswith("friendli-endpoint: ")


def test_the_largest_limit_is_enough(processes: Launcher, model: Path) -> None:
    assert serve(processes, model, LIMITS[-1], False).status == 200
