"""Opens an engine with a small context for the embedded model; a prompt for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from friendli_endpoint.engine.core.engine import LocalEngine
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.llama.engine import LlamaOptions, LlamaSource
from friendli_endpoint.generation import StepReport
from tests.support.scripted import scripted_guide

SEQUENCES, CONTEXT = 4, 512
PROMPT = tuple(1000 + 37 * n % 20011 for n in range(40))


@contextmanager
def opened(
    path: Path | None = None,
    *,
    sequences: int = SEQUENCES,
    drafts: bool = True,
    report: Callable[[StepReport], None] = lambda _report: None,
    **options: Any,
) -> Iterator[LocalEngine]:
    """Yields an engine with scripted guides, by default for the embedded model."""
    common = LlamaOptions(sequences=sequences, context=CONTEXT, threads=1, drafts=drafts)
    source = LlamaSource(path, replace(common, **options))
    engine = source.open(scripted_guide, report)
    try:
        yield engine
    finally:
        engine.close()
        source.close()


def loop_of(engine: LocalEngine) -> EngineLoop:
    """Returns the loop of an engine, for tests without an event loop."""
    return engine._loop
