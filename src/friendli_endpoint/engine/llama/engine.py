"""Opens a GGUF file as an engine: the library, the weights, room for the sequences, the loop."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from friendli_endpoint.engine.core.execution import Plan
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.llama.capacity import (
    Capacity,
    available_memory,
    available_threads,
    fit,
)
from friendli_endpoint.engine.llama.context import SHORT_ROOM, LlamaContext
from friendli_endpoint.engine.llama.library import LibraryError, find_library, load
from friendli_endpoint.engine.llama.model import (
    LlamaModel,
    ModelError,
    check_file,
    find_embedded_model,
)
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary
from friendli_endpoint.generation import StepReport

__all__ = ["EmbeddedEngine", "LibraryError", "ModelError", "locate", "open_engine"]

log = logging.getLogger("friendli_endpoint.engine")

PIECE = 64
"""Prompt tokens between two tokens of a running stream: about a sixth of a second of the embedded
model on two cores. With smaller pieces prompts that come together start one long after the other,
and many steps are made with few of them."""

FULL_PIECE = 128
"""Prompt tokens in a batch while nothing runs; larger batches take more time a token."""


@dataclass(frozen=True, slots=True)
class EmbeddedEngine:
    """An engine over a local file, and what else the file says.

    Attributes:
        engine: Serves requests.
        vocabulary: The model's tokens.
        name: What the model calls itself.
        template: Its chat template, in Jinja, or None.
        capacity: What it serves at once.
    """

    engine: EngineLoop
    vocabulary: LlamaVocabulary
    name: str
    template: str | None
    capacity: Capacity

    def close(self) -> None:
        """Stops the engine and frees its caches; the weights go with the last that uses them."""
        self.engine.close()


def locate(path: Path | None) -> Path:
    """The model file to serve: the one named, or the embedded one; and that it can be a model.

    Raises:
        ModelError: There is no such file, or it is no GGUF file.
        LibraryError: llama.cpp is not installed or not one we can drive.
    """
    load(find_library())
    found = path or find_embedded_model()
    check_file(found)
    return found


def open_engine(
    path: Path,
    *,
    sequences: int,
    context: int,
    threads: int | None = None,
    parts: bool = True,
    drafts: bool = True,
    max_queue: int = 1024,
    max_queue_tokens: int = 1 << 20,
    report: Callable[[StepReport], None] = lambda _report: None,
) -> EmbeddedEngine:
    """Loads a model and starts serving it; takes a second or more.

    Args:
        path: A GGUF file.
        sequences: Choices to serve at once; lowered where memory is short.
        context: Tokens each can hold; lowered where memory or the model ask for it.
        threads: Threads that compute; by default one for each processor.
        parts: Whether weights may be served in two parts, where that is faster.
        drafts: Whether a choice that runs alone may be drafted, where that changes no bit.
        max_queue: Most requests that may wait.
        max_queue_tokens: Most prompt tokens that may wait, all together.
        report: Hears of every turn of the engine, on its thread.

    Raises:
        LibraryError: llama.cpp is not installed or not one we can drive.
        ModelError: The file cannot be served.
    """
    library = load(find_library())
    model = LlamaModel(library, path, parts)
    capacity = fit(
        sequences,
        context,
        train_context=model.train_context,
        bytes_per_token=model.kv_bytes_per_token,
        free=available_memory(),
        beside=SHORT_ROOM,
    )
    for note in capacity.notes:
        log.warning("%s", note)
    vocabulary = LlamaVocabulary(model, capacity.context)
    processors = threads or available_threads()
    plan = Plan(
        capacity.sequences,
        PIECE,
        FULL_PIECE,
        model.kernels.least_piece,
        drafts,
        queue_requests=max_queue,
        queue_tokens=max_queue_tokens,
    )
    engine = EngineLoop(
        lambda: LlamaContext(model, capacity.sequences, capacity.context, processors),
        vocabulary,
        plan,
        report,
    )
    return EmbeddedEngine(engine, vocabulary, model.name, model.chat_template(), capacity)
