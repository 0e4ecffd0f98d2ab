"""Measures the engine's overhead over llama.cpp: `python -m benchmarks.endpoint.step`.

16 sequences run at once in one process, without HTTP, on vocabularies of two sizes. The table has
the time of an engine step, and the time that it spends in calls into llama.cpp.
"""

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.endpoint.vocabulary import widen
from friendli_endpoint.engine.core.backend import Logits, SlotId
from friendli_endpoint.engine.core.execution import EngineConfig
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.llama.context import LlamaContext
from friendli_endpoint.engine.llama.engine import MAX_CHUNK_TOKENS, STEP_TOKENS, locate
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel
from friendli_endpoint.engine.llama.processors import available_threads
from friendli_endpoint.engine.llama.threads import BatchThreads
from friendli_endpoint.generation import (
    DecodingRules,
    EngineError,
    Event,
    Generated,
    GenerationRequest,
    SamplingParams,
    StepReport,
    TextSegment,
    TokenFindings,
)

SEQUENCES, CONTEXT = 16, 1024
PROMPT, TOKENS = 40, 64
LARGE = 262_144
SAMPLING = {
    "greedy": SamplingParams(0, temperature=0),
    "temperature 0.8, top_p 0.95": SamplingParams(0, temperature=0.8, top_p=0.95),
}


class TimedContext(LlamaContext):
    """A context that adds up the time spent in `decode`, in seconds."""

    seconds = 0.0

    def decode(
        self,
        slots: Sequence[SlotId],
        tokens: Sequence[int],
        positions: Sequence[int],
        adapter: int | None = None,
    ) -> list[Logits]:
        """Decodes as `LlamaContext.decode` does, and measures the time."""
        begun = time.perf_counter()
        rows = super().decode(slots, tokens, positions, adapter)
        self.seconds += time.perf_counter() - begun
        return rows


class UnconstrainedGuide:
    """A guide that allows every token."""

    looks_ahead = False

    def mask(self) -> NDArray[np.uint32] | None:
        """Returns None: every token is allowed."""
        return None

    def fast_forward_tokens(self) -> Sequence[int]:
        """Returns no tokens."""
        return ()

    def accept(self, token_id: int, is_last: bool) -> TokenFindings:
        """Finishes with `length` at the last token."""
        return TokenFindings(0, (), "length" if is_last else None)

    def exhausted(self) -> TokenFindings:
        """Finishes with `stop`; never called, because there are no grammars."""
        return TokenFindings(0, (), "stop")


def main() -> int:
    """Prints the table."""
    source = locate(None)
    print("| vocabulary size | sampling | step, ms | of which llama.cpp, ms | outside llama.cpp |")
    print("|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        wide = Path(folder) / "wide.gguf"
        widen(source, wide, LARGE)
        for path in (source, wide):
            measure(path)
    return 0


def measure(path: Path) -> None:
    """Prints the rows of one model."""
    library = load(find_library())
    model = LlamaModel(library, path)
    backends: list[TimedContext] = []
    steps: list[tuple[float, float]] = []
    before = 0.0

    def open_backend() -> TimedContext:
        backends.append(TimedContext(model, SEQUENCES, CONTEXT, BatchThreads(available_threads())))
        return backends[-1]

    def report(step: StepReport) -> None:
        nonlocal before
        decoding = backends[-1].seconds
        if step.decoded == SEQUENCES and not step.prefilled:
            steps.append((step.seconds * 1000, (decoding - before) * 1000))
        before = decoding

    config = EngineConfig(
        SEQUENCES, CONTEXT, STEP_TOKENS, MAX_CHUNK_TOKENS, model.kernels.min_chunk_tokens
    )
    engine = EngineLoop(open_backend, lambda _rules: UnconstrainedGuide(), config, report)
    for name, sampling in SAMPLING.items():
        steps.clear()
        generate(engine, sampling)
        step_time, decoding = (median(times) for times in zip(*steps, strict=True))
        rest = step_time - decoding
        print(
            f"| {model.vocabulary_size:,} | {name} | {step_time:.1f} | {decoding:.1f} "
            f"| {rest:.1f} ms, {rest / step_time:.1%} |"
        )
    engine.close()


def generate(engine: EngineLoop, sampling: SamplingParams) -> None:
    """Runs all sequences at once, and waits until they finish.

    Raises:
        RuntimeError: The engine failed.
    """
    random = np.random.default_rng(7)
    ended = threading.Semaphore(0)
    failures: list[str] = []

    def deliver(event: Event | EngineError) -> None:
        if isinstance(event, EngineError):
            failures.append(event.message)
            ended.release()
        elif isinstance(event, Generated) and event.num_finished:
            ended.release()

    for number in range(SEQUENCES):
        prompt = tuple(int(token) for token in random.integers(1000, 40_000, PROMPT))
        choices = (replace(sampling, seed=number),)
        rules = DecodingRules(())
        engine.submit(
            GenerationRequest(str(number), (TextSegment(prompt),), choices, rules, TOKENS), deliver
        )
    for _ in range(SEQUENCES):
        ended.acquire()
    if failures:
        raise RuntimeError(failures[0])


if __name__ == "__main__":
    sys.exit(main())
