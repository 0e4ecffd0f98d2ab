"""GGUF files as engines: checked, tried, and opened by llama.cpp."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from friendli_endpoint.engine.core.backend import AdapterError
from friendli_endpoint.engine.core.engine import LocalEngine
from friendli_endpoint.engine.core.execution import EngineConfig
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.llama.capacity import available_memory, available_threads, fit
from friendli_endpoint.engine.llama.context import SHORT_ROOM, LlamaContext
from friendli_endpoint.engine.llama.gguf.repack import repack
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import (
    LlamaModel,
    ModelError,
    VocabularyFile,
    check_file,
    find_embedded_model,
)
from friendli_endpoint.engine.llama.trials import Trials
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary
from friendli_endpoint.generation import (
    GuideMaker,
    ModelCard,
    StartError,
    StepReport,
    Vocabulary,
)

__all__ = ["LlamaOptions", "LlamaSource", "locate"]

log = logging.getLogger("friendli_endpoint.engine")

CHUNK_TOKENS = 64
"""Prompt tokens between two tokens of a running stream: about a sixth of a second of the embedded
model on two cores. With smaller pieces prompts that come together start one long after the other,
and many steps are made with few of them."""

IDLE_CHUNK_TOKENS = 128
"""Prompt tokens in a batch while nothing runs; larger batches take more time a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaOptions:
    """How a model is served.

    Attributes:
        sequences: Choices to serve at once; lowered where memory is short.
        context: Tokens each can hold; lowered where memory or the model ask for it.
        threads: Threads that compute; by default one for each processor.
        parts: Whether weights may be served in two parts, where that is faster.
        repack_into: Folder for a copy of the model in Q8_0, which is then served; None for the
            model as it is.
        drafts: Whether a choice that runs alone may be drafted, where that changes no bit.
        max_queue: Maximum number of requests that wait.
        max_queue_tokens: Maximum number of prompt tokens that wait, all together.
        adapters: Routes of adapters to the files they are loaded from.
    """

    sequences: int
    context: int
    threads: int | None = None
    parts: bool = True
    repack_into: Path | None = None
    drafts: bool = True
    max_queue: int = 1024
    max_queue_tokens: int = 1 << 20
    adapters: Mapping[str, Path] = field(default_factory=dict)


class LlamaSource:
    """A GGUF file that is to be served.

    Args:
        path: The file; None for the embedded model.
        options: How it is served.
    """

    def __init__(self, path: Path | None, options: LlamaOptions) -> None:
        self._path = path
        self._options = options
        self._trials = Trials()

    def check(self) -> None:
        """Looks whether there is a C library and a file that can be a model; takes no time.

        Raises:
            StartError: There is none.
        """
        locate(self._path)

    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the file; takes a second or more, for the file is tried first.

        Raises:
            StartError: The file cannot be served.
        """
        return LlamaVocabulary(VocabularyFile(load(find_library()), self._model))

    def open(
        self, make_guide: GuideMaker, report: Callable[[StepReport], None] = lambda _report: None
    ) -> LocalEngine:
        """Loads the model and starts serving it; takes a second or more.

        Args:
            make_guide: Makes the guide of a choice, on the engine's thread.
            report: Called with every step, on the engine's thread; must not block or raise.

        Raises:
            StartError: The file, or one of the adapters, cannot be served.
        """
        adapters = self._options.adapters
        self._trials.try_adapters(self._model, list(adapters.values()))
        loop, card = self._open(make_guide, report)
        try:
            for route, path in adapters.items():
                loop.load_adapter(route, path)
        except AdapterError as error:
            loop.close()
            raise StartError(str(error)) from error
        return LocalEngine(loop, card, self._tried_adapter)

    def close(self) -> None:
        """Ends trials that run; nothing can be opened any more."""
        self._trials.close()

    @cached_property
    def _model(self) -> Path:
        """The file that is served, once it has been tried."""
        model = locate(self._path)
        if self._options.repack_into is not None:
            model = repack(model, self._options.repack_into)
        self._trials.try_model(model)
        return model

    def _open(
        self, make_guide: GuideMaker, report: Callable[[StepReport], None]
    ) -> tuple[EngineLoop, ModelCard]:
        options = self._options
        model = LlamaModel(load(find_library()), self._model, options.parts)
        capacity = fit(
            options.sequences,
            options.context,
            train_context=model.train_context,
            bytes_per_token=model.kv_bytes_per_token,
            free=available_memory(),
            beside=SHORT_ROOM,
        )
        for note in capacity.notes:
            log.warning("%s", note)
        plan = EngineConfig(
            slots=capacity.sequences,
            context=capacity.context,
            chunk_tokens=CHUNK_TOKENS,
            idle_chunk_tokens=IDLE_CHUNK_TOKENS,
            min_chunk_tokens=model.kernels.min_chunk_tokens,
            drafts=options.drafts,
            max_queue=options.max_queue,
            max_queue_tokens=options.max_queue_tokens,
        )
        threads = options.threads or available_threads()
        loop = EngineLoop(
            lambda: LlamaContext(model, capacity.sequences, capacity.context, threads),
            make_guide,
            plan,
            report,
        )
        return loop, ModelCard(
            name=model.name,
            context=capacity.context,
            vocabulary_size=model.vocabulary_size,
            num_sequences=capacity.sequences,
            chat_template=model.chat_template(),
            modalities=("text",),
            adapters=(),
            deterministic=model.kernels.are_known,
        )

    @contextmanager
    def _tried_adapter(self, path: Path) -> Iterator[Path]:
        try:
            with self._trials.tried_copy(self._model, path) as copy:
                try:
                    yield copy
                except AdapterError as error:
                    raise ModelError(str(error)) from error  # so that it names the file
        except ModelError as error:
            raise AdapterError(str(error)) from error


def locate(path: Path | None) -> Path:
    """The model file to serve: the one named, or the embedded one; and that it can be a model.

    Raises:
        StartError: There is no such file, it is not a GGUF file, or llama.cpp is not installed or
            not one that we can drive.
    """
    load(find_library())
    found = path or find_embedded_model()
    check_file(found)
    return found
