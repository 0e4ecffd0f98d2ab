"""Measures the prefix cache on disk: `python -m benchmarks.endpoint.prefixes [ROUNDS]`.

In each round, engines of one process compute a prompt, store it, and read it after a restart: from
files in the system's cache, and from the device. The table has the time to the first token, as CPU
time, and as the ratio to computing in the same round, of CPU time and of time on the clock.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.endpoint.step import UnconstrainedGuide
from friendli_endpoint.bench.machine import machine
from friendli_endpoint.bench.report import Table, markdown
from friendli_endpoint.bench.stats import Spread, ratios
from friendli_endpoint.engine.core.backend import BLOCK_TOKENS
from friendli_endpoint.engine.core.disk.folder import BlockFolder
from friendli_endpoint.engine.core.disk.store import DiskCache
from friendli_endpoint.engine.core.execution import EngineConfig
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.llama.context import LlamaContext
from friendli_endpoint.engine.llama.engine import MAX_CHUNK_TOKENS, STEP_TOKENS, locate
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel
from friendli_endpoint.generation import (
    DecodingRules,
    EngineError,
    Event,
    Generated,
    GenerationRequest,
    SamplingParams,
    Started,
    TextSegment,
)

ROUNDS = 5
LENGTHS = (128, 500, 2000)
CONTEXT, SEQUENCES, THREADS = 2304, 4, 1
MAX_BYTES = 1 << 30
POLL_SECONDS = 0.05
COLUMNS = (
    "prompt tokens",
    "of these read",
    "MB read",
    "computing, CPU s",
    "reading, CPU s",
    "ratio of CPU (min to max)",
    "ratio of time (min to max)",
    "from the device, ratio of time",
    "storing, CPU s",
)


@dataclass(frozen=True, slots=True)
class FirstToken:
    """Measurement of a request until its first token.

    Attributes:
        cpu: CPU time of the process in seconds.
        seconds: Time on the clock in seconds.
        cached: Number of cached tokens.
    """

    cpu: float
    seconds: float
    cached: int


@dataclass(frozen=True, slots=True)
class Round:
    """Measurements of one prompt in one round.

    Attributes:
        computed: It was computed.
        read: It was read from files in the system's cache.
        read_cold: It was read from the device.
        store_cpu: CPU time of storing it, in seconds.
        num_bytes: Size of the files.
    """

    computed: FirstToken
    read: FirstToken
    read_cold: FirstToken
    store_cpu: float
    num_bytes: int


def main(arguments: list[str]) -> int:
    """Prints the table."""
    rounds = int(arguments[0]) if arguments else ROUNDS
    model = LlamaModel(load(find_library()), locate(None))
    measured: dict[int, list[Round]] = {length: [] for length in LENGTHS}
    for number in range(rounds):
        for length in LENGTHS:
            measured[length].append(measure(model, length, seed=number))
    print(f"{machine()}; `python -m benchmarks.endpoint.prefixes`, {rounds} rounds, one thread.\n")
    print(markdown(table(measured)))
    return 0


def table(measured: dict[int, list[Round]]) -> Table:
    """Returns a row per length of the prompt."""
    rows = []
    for length, rounds in measured.items():
        computed, read = [item.computed for item in rounds], [item.read for item in rounds]
        cold = [item.read_cold.seconds for item in rounds]
        seconds = [item.seconds for item in computed]
        rows.append(
            [
                f"{length:,}",
                f"{rounds[0].read.cached:,}",
                f"{rounds[0].num_bytes / 1e6:.1f}",
                f"{median(item.cpu for item in computed):.2f}",
                f"{median(item.cpu for item in read):.2f}",
                spread(ratios([item.cpu for item in read], [item.cpu for item in computed])),
                spread(ratios([item.seconds for item in read], seconds)),
                spread(ratios(cold, seconds)),
                f"{median(item.store_cpu for item in rounds):.2f}",
            ]
        )
    return Table(COLUMNS, rows)


def spread(values: Spread) -> str:
    """Formats the spread of ratios."""
    return f"{values.median:.3f} ({values.min:.3f} to {values.max:.3f})"


def measure(model: LlamaModel, length: int, seed: int) -> Round:
    """Computes a random prompt, stores it and reads it twice, each time in a new engine."""
    random = np.random.default_rng(seed)
    prompt = tuple(int(token) for token in random.integers(1000, 40_000, length))
    with TemporaryDirectory(dir=Path.cwd()) as name:
        folder = BlockFolder(Path(name), MAX_BYTES)
        with engine(model, folder) as loop:
            computed = first_token(loop, prompt)
            begun = time.process_time()
            while len(files := list(folder.path.glob("*.kv"))) < length // BLOCK_TOKENS:
                time.sleep(POLL_SECONDS)  # it is stored when the engine is idle
            store_cpu = time.process_time() - begun
        with engine(model, folder) as loop:
            read = first_token(loop, prompt)
        for path in files:
            drop_from_cache(path)
        with engine(model, folder) as loop:
            read_cold = first_token(loop, prompt)
        num_bytes = sum(path.stat().st_size for path in files)
    return Round(computed, read, read_cold, store_cpu, num_bytes)


@contextmanager
def engine(model: LlamaModel, folder: BlockFolder) -> Iterator[EngineLoop]:
    """Yields a new engine."""
    config = EngineConfig(
        SEQUENCES, CONTEXT, STEP_TOKENS, MAX_CHUNK_TOKENS, model.kernels.min_chunk_tokens
    )
    loop = EngineLoop(
        lambda: LlamaContext(model, SEQUENCES, CONTEXT, THREADS),
        lambda _rules: UnconstrainedGuide(),
        config,
        disk=DiskCache(folder, b"benchmark"),
    )
    with closing(loop):
        yield loop


def first_token(loop: EngineLoop, prompt: tuple[int, ...]) -> FirstToken:
    """Measures a request for one token.

    Raises:
        RuntimeError: The engine failed.
    """
    ended = threading.Event()
    cached: list[int] = []

    def deliver(event: Event | EngineError) -> None:
        if isinstance(event, Started):
            cached.append(event.cached_tokens)
        if isinstance(event, (Generated, EngineError)):
            ended.set()

    sampling = (SamplingParams(0, temperature=0),)
    request = GenerationRequest("0", (TextSegment(prompt),), sampling, DecodingRules(()), 1)
    cpu, begun = time.process_time(), time.perf_counter()
    loop.submit(request, deliver)
    ended.wait()
    measured = time.process_time() - cpu, time.perf_counter() - begun
    if not cached:
        raise RuntimeError("the engine failed")
    return FirstToken(*measured, cached[0])


def drop_from_cache(path: Path) -> None:
    """Writes a file to its device, and removes it from the system's cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
