"""Times of the embedded model's batches by their size, by depth, and by the number of threads."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np

from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.llama.context import LlamaContext
from friendli_endpoint.engine.llama.engine import MAX_CHUNK_TOKENS, locate
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel
from friendli_endpoint.engine.llama.processors import available_threads
from friendli_endpoint.engine.llama.threads import BatchThreads

__all__ = ["Costs", "SetThreads", "Timed", "measure_costs", "opened"]

SLOTS = tuple(map(SlotId, range(16)))
CONTEXT = 4096
SHALLOW, DEEP = 100, 3000
RUNNING = (1, 2, 4, 8, 16)
CHUNKS = (4, 8, 16, 24, 32, 48, 64, 128)


class SetThreads(BatchThreads):
    """A number of threads that is set from outside; records the work of the last batch."""

    number = 1
    work = 0.0

    def begin(self, work: float) -> int:
        """Returns the number."""
        self.work = work
        return self.number

    def end(self) -> None:
        """Does nothing."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A context whose slots contain the same tokens, and calls to be timed.

    Attributes:
        context: The context, with 16 slots.
        tokens: More tokens than a slot holds, shape (length,), int32.
    """

    context: LlamaContext
    tokens: np.ndarray[tuple[int], np.dtype[np.int32]]

    def fill(self, depth: int) -> None:
        """Leaves the first `depth` tokens in every slot."""
        first, *others = SLOTS
        self.context.truncate(first, 0)
        for start in range(0, depth, MAX_CHUNK_TOKENS):
            chunk = self.tokens[start : min(depth, start + MAX_CHUNK_TOKENS)]
            self.context.prefill(first, chunk, start, False)
        for slot in others:
            self.context.copy(first, slot)

    def decode(self, num_running: int, depth: int) -> None:
        """Decodes a token of some slots of this depth, and removes it again."""
        slots = SLOTS[:num_running]
        self.context.decode(slots, [5] * num_running, [depth] * num_running)
        for slot in slots:
            self.context.truncate(slot, depth)

    def prefill(self, num_tokens: int, depth: int) -> None:
        """Prefills a chunk in a slot of this depth, and removes it again."""
        chunk = self.tokens[depth : depth + num_tokens]
        self.context.prefill(SLOTS[0], chunk, depth, True)
        self.context.truncate(SLOTS[0], depth)


@contextmanager
def opened(threads: BatchThreads) -> Iterator[Timed]:
    """Opens the embedded model as it is served."""
    model = LlamaModel(load(find_library()), locate(None))
    tokens = np.random.default_rng(1).integers(1000, 40_000, CONTEXT, dtype=np.int32)
    with closing(LlamaContext(model, len(SLOTS), CONTEXT, threads)) as context:
        yield Timed(context, tokens)


@dataclass(frozen=True, slots=True)
class Costs:
    """Time of batches in ms, between the measured sizes linear.

    Attributes:
        decoding: Times of decoding 1, 2, 4, 8 and 16 sequences.
        chunks: Times of the chunk sizes of `CHUNKS`, near the start of a sequence.
        deep_chunks: The same at 3,000 tokens.
    """

    decoding: Sequence[float]
    chunks: Sequence[float]
    deep_chunks: Sequence[float]

    def decode(self, num_running: int) -> float:
        """Returns the time of one token of each running sequence, 0 to 16 of them."""
        return float(np.interp(num_running, (0, *RUNNING), (0, *self.decoding)))

    def prefill(self, num_tokens: int, depth: int) -> float:
        """Returns the time of a chunk at a depth."""
        first, second = (
            float(np.interp(num_tokens, (0, *CHUNKS), (0, *times)))
            for times in (self.chunks, self.deep_chunks)
        )
        return first + (second - first) * max(0, depth - SHALLOW) / (DEEP - SHALLOW)


def measure_costs(repeats: int, *, cpu_time: bool) -> Costs:
    """Measures the minimum time of each batch.

    Args:
        repeats: Number of repetitions, at least 1.
        cpu_time: Whether to measure the processor time of one thread, which a busy machine changes
            little, instead of the wall time with as many threads as are served.
    """
    clock = time.process_time if cpu_time else time.perf_counter
    threads = SetThreads(1) if cpu_time else BatchThreads(available_threads())

    def minimum_times(
        call: Callable[[int, int], None], sizes: Sequence[int], depth: int
    ) -> list[float]:
        times = []
        for size in sizes:
            begun = [_timed(call, size, depth, clock) for _ in range(repeats + 1)]
            times.append(1000 * min(begun[1:]))
        return times

    with opened(threads) as timed:
        timed.fill(SHALLOW)
        decoding = minimum_times(timed.decode, RUNNING, SHALLOW)
        chunks = minimum_times(timed.prefill, CHUNKS, SHALLOW)
        timed.fill(DEEP)
        return Costs(decoding, chunks, minimum_times(timed.prefill, CHUNKS, DEEP))


def _timed(
    call: Callable[[int, int], None], size: int, depth: int, clock: Callable[[], float]
) -> float:
    begun = clock()
    call(size, depth)
    return clock() - begun
