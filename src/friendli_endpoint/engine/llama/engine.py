"""Opens a GGUF file as an engine: checks it, tries it in a separate process, and loads it."""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from friendli_endpoint.engine.core.admission import resident_memory
from friendli_endpoint.engine.core.backend import AdapterError
from friendli_endpoint.engine.core.disk.folder import BlockFolder
from friendli_endpoint.engine.core.disk.store import DiskCache
from friendli_endpoint.engine.core.engine import LocalEngine
from friendli_endpoint.engine.core.execution import EngineConfig
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.llama.capacity import (
    EngineCapacity,
    available_memory,
    fit,
    high_water_mark,
)
from friendli_endpoint.engine.llama.context import FLASH_CACHE_TOKENS, LlamaContext
from friendli_endpoint.engine.llama.gguf.repack import repack
from friendli_endpoint.engine.llama.identity import hash_files, identity_of
from friendli_endpoint.engine.llama.library import check_gpu, find_library, load
from friendli_endpoint.engine.llama.model import (
    LlamaModel,
    ModelError,
    VocabularyFile,
    check_file,
    find_embedded_model,
)
from friendli_endpoint.engine.llama.processors import available_threads
from friendli_endpoint.engine.llama.threads import BatchThreads
from friendli_endpoint.engine.llama.trials import Trials
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary
from friendli_endpoint.generation import (
    GuideMaker,
    ModelCard,
    StartError,
    StepReport,
    Vocabulary,
    reason_of,
)

__all__ = ["LlamaOptions", "LlamaSource", "locate"]

log = logging.getLogger("friendli_endpoint.engine")

STEP_TOKENS = 32
"""Maximum tokens of a step that prefills and decodes, while prompts are not behind. The embedded
model computes them in about a tenth of a second on two cores. With fewer, prompts that arrive
together start far apart, and many steps decode only a few of their sequences; with more, everyone
waits longer between two tokens. docs/benchmarks.md has the figures."""

MAX_CHUNK_TOKENS = 128
"""Maximum prompt tokens prefilled in a step; larger batches take more time per token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaOptions:
    """Options of a llama.cpp engine.

    Attributes:
        sequences: Number of choices to serve at once; lowered if memory is short.
        context: Context length of each sequence, in tokens; lowered if memory is short or if the
            model was trained for less.
        threads: Maximum number of compute threads; by default one per available processor. A batch
            gets fewer where more would not pay; see `threads.py`.
        split_q4_1: Whether large Q4_1 matrices may be split into Q4_0 and a LoRA where that is
            faster; see `gguf/split.py`.
        repack_into: Folder for a copy of the model in Q8_0, which is then served; None serves the
            file as it is.
        library: As for `find_library`.
        gpu_layers: Number of layers that GPUs compute; see `LlamaModel`.
        drafts: Whether tokens of a choice that runs alone may be drafted, where that changes no
            bit of the output.
        max_queue: Maximum number of waiting requests.
        max_queue_tokens: Maximum number of prompt tokens of all waiting requests together.
        max_queue_bytes: Maximum estimated memory of all waiting requests together, in bytes.
        max_memory: Memory of the process in bytes, without mapped files, from which on no request
            may wait; by default, 90 % of the available memory beyond what the process has when
            the model is opened.
        adapters: File of each LoRA adapter, by its route.
        num_engines: Number of engines that share the processors and the memory of this machine.
        prefix_cache: Folder for the prefix cache on disk, which engines may share; None for none.
        prefix_cache_bytes: Maximum size of the prefix cache on disk in bytes.
    """

    sequences: int
    context: int
    threads: int | None = None
    split_q4_1: bool = True
    repack_into: Path | None = None
    library: Path | None = None
    gpu_layers: int = 0
    drafts: bool = True
    max_queue: int = 1024
    max_queue_tokens: int = 1 << 20
    max_queue_bytes: int = 1 << 30
    max_memory: int | None = None
    adapters: Mapping[str, Path] = field(default_factory=dict)
    num_engines: int = 1
    prefix_cache: Path | None = None
    prefix_cache_bytes: int = 10**10

    @property
    def block_folder(self) -> BlockFolder | None:
        """Folder of the prefix cache on disk, if there is one; it is made if it does not exist.

        Raises:
            StartError: It cannot be made, or other users can access it.
        """
        if self.prefix_cache is None:
            return None
        return BlockFolder(self.prefix_cache, self.prefix_cache_bytes)


class LlamaSource:
    """Model source for a GGUF file.

    Args:
        path: The file; None for the embedded model.
        options: Options of the engine.
    """

    def __init__(self, path: Path | None, options: LlamaOptions) -> None:
        self._path = path
        self._options = options
        self._trials = Trials(options.library, options.gpu_layers)

    def check(self) -> None:
        """Checks quickly that the C library is usable and that the file looks like a model.

        Raises:
            StartError: The library or the file is missing or invalid, GPU layers are set and the
                library finds no GPU, or the folder of the prefix cache cannot be used.
        """
        locate(self._path, self._options.library)
        if self._options.gpu_layers:
            check_gpu(load(self._library, gpu=True))
        _ = self._options.block_folder

    def vocabulary(self) -> Vocabulary:
        """Loads the vocabulary of the file; takes a second or more, as the file is tried first.

        Raises:
            StartError: The file cannot be served.
        """
        return load_vocabulary(self._library, self._model)

    def vocabulary_loader(self) -> Callable[[], Vocabulary]:
        """Returns a function that loads the vocabulary in another process; it can be pickled."""
        return partial(load_vocabulary, self._library, self._model)

    def open(
        self, make_guide: GuideMaker, report: Callable[[StepReport], None] = lambda _report: None
    ) -> LocalEngine:
        """Loads the model and starts serving it; takes a second or more.

        Args:
            make_guide: Makes the guide of a choice; called on the engine's thread.
            report: Called after every step, on the engine's thread; must not block or raise.

        Raises:
            StartError: The model file or one of the adapters cannot be served.
        """
        return self.opener().open(lambda _model: make_guide, report)

    def opener(self, *, threads: int | None = None, num_engines: int | None = None) -> "TriedModel":
        """Returns a function that opens the engine in another process; it can be pickled.

        The adapters of the options are tried first, which may take seconds.

        Args:
            threads: Number of compute threads; None for that of the options.
            num_engines: Number of engines that share the memory of a machine, and its processors
                unless `threads` are given; None for that of the options.

        Raises:
            StartError: The model file or one of the adapters cannot be served.
        """
        self._trials.try_adapters(self._model, list(self._options.adapters.values()))
        options = replace(
            self._options,
            library=self._options.library and self._library,  # other nodes find their own
            threads=threads or self._options.threads,
            num_engines=num_engines or self._options.num_engines,
        )
        return TriedModel(self._model, options, self._trials)

    def close(self) -> None:
        """Kills running trials; afterwards nothing can be opened."""
        self._trials.close()

    @property
    def _library(self) -> Path:
        return find_library(self._options.library)

    @cached_property
    def _model(self) -> Path:
        """The file to serve, repacked if the options ask for it, after a successful trial."""
        model = locate(self._path, self._options.library)
        if self._options.repack_into is not None:
            model = repack(model, self._options.repack_into)
        self._trials.try_model(model)
        return model


@dataclass(frozen=True, slots=True)
class TriedModel:
    """A model file and adapters that were tried; opens the engine, and can be pickled.

    Attributes:
        path: The model file.
        options: Options of the engine.
        trials: Trials of the adapters that are loaded later.
    """

    path: Path
    options: LlamaOptions
    trials: Trials = field(default_factory=Trials, compare=False)

    def __call__(
        self,
        make_guides: Callable[[Vocabulary], GuideMaker],
        report: Callable[[StepReport], None],
        like: ModelCard | None = None,
    ) -> LocalEngine:
        """Loads the model and starts serving it; takes a second or more.

        Args:
            make_guides: Makes the `GuideMaker` for the model's vocabulary.
            report: Called after every step, on the engine's thread; must not block or raise.
            like: Card of an engine with the same capacity; None for what fits into memory.

        Raises:
            StartError: The model file or one of the adapters cannot be served.
        """
        return self.open(lambda model: make_guides(LlamaVocabulary(model)), report, like)

    def open(
        self,
        make_guides: Callable[[LlamaModel], GuideMaker],
        report: Callable[[StepReport], None],
        like: ModelCard | None = None,
    ) -> LocalEngine:
        """Loads the model and starts serving it; takes a second or more.

        Args:
            make_guides: Makes the `GuideMaker` for the model.
            report: Called after every step, on the engine's thread; must not block or raise.
            like: Card of an engine with the same capacity; None for what fits into memory.

        Raises:
            StartError: The model file or one of the adapters cannot be served.
        """
        loop, card = self._open(make_guides, report, like)
        try:
            for route, path in self.options.adapters.items():
                loop.load_adapter(route, path)
        except AdapterError as error:
            loop.close()
            raise StartError(str(error)) from error
        return LocalEngine(loop, card, self._tried_adapter)

    def _open(
        self,
        make_guides: Callable[[LlamaModel], GuideMaker],
        report: Callable[[StepReport], None],
        like: ModelCard | None,
    ) -> tuple[EngineLoop, ModelCard]:
        options = self.options
        library, folder = find_library(options.library), options.block_folder
        digests = hash_files(self.path, library) if folder is not None else None
        model = LlamaModel(
            load(library, gpu=options.gpu_layers > 0),
            self.path,
            options.split_q4_1,
            gpu_layers=options.gpu_layers,
        )
        disk = None
        if folder is not None and digests is not None:
            disk = _disk_cache(folder, model, digests)
        free_bytes = available_memory()
        if free_bytes is not None:
            free_bytes //= options.num_engines
        capacity = self._capacity(model, free_bytes)
        if like is not None:
            capacity = EngineCapacity(like.num_sequences, like.context)
        for note in capacity.notes:
            log.warning("%s", note)
        config = EngineConfig(
            slots=capacity.sequences,
            context=capacity.context,
            step_tokens=STEP_TOKENS,
            max_chunk_tokens=MAX_CHUNK_TOKENS,
            min_chunk_tokens=model.kernels.min_chunk_tokens,
            drafts=options.drafts,
            max_queue=options.max_queue,
            max_queue_tokens=options.max_queue_tokens,
            max_queue_bytes=options.max_queue_bytes,
            max_memory=options.max_memory or high_water_mark(resident_memory(), free_bytes),
        )
        threads = options.threads or max(1, available_threads() // options.num_engines)
        loop = EngineLoop(
            lambda: LlamaContext(
                model, capacity.sequences, capacity.context, BatchThreads(threads)
            ),
            make_guides(model),
            config,
            report,
            disk,
        )
        return loop, ModelCard(
            name=model.name,
            context=capacity.context,
            vocabulary_size=model.vocabulary_size,
            num_sequences=capacity.sequences,
            chat_template=model.chat_template(),
            modalities=("text",),
            adapters=(),
            deterministic=model.kernels.are_measured,
            devices=model.devices,
        )

    def _capacity(self, model: LlamaModel, free_bytes: int | None) -> EngineCapacity:
        return fit(
            self.options.sequences,
            self.options.context,
            train_context=model.train_context,
            bytes_per_token=model.kv_bytes_per_token,
            free_bytes=free_bytes,
            extra_tokens=FLASH_CACHE_TOKENS,
        )

    @contextmanager
    def _tried_adapter(self, path: Path) -> Iterator[Path]:
        try:
            with self.trials.tried_copy(self.path, path) as copy:
                try:
                    yield copy
                except AdapterError as error:
                    # As a ModelError, its path to the copy is replaced by the path of the file.
                    raise ModelError(str(error)) from error
        except ModelError as error:
            raise AdapterError(str(error)) from error


def _disk_cache(folder: BlockFolder, model: LlamaModel, digests: Future[list[bytes]]) -> DiskCache:
    """Returns the prefix cache on disk for a model.

    Raises:
        StartError: Prefixes of this model cannot be stored, or a file cannot be read.
    """
    if model.has_windows:
        raise StartError(
            f"--prefix-cache: {model.name} has sliding-window attention, whose KV cache cannot be "
            "stored by prefix; serve it without a prefix cache on disk"
        )
    if not model.on_cpu:
        raise StartError(
            "--prefix-cache: the KV cache of a GPU depends on what it has computed at the same "
            "time, so stored prefixes would change responses; serve the model without GPU layers"
        )
    try:
        return DiskCache(folder, identity_of(model, digests.result()))
    except OSError as error:
        raise StartError(f"--prefix-cache: {reason_of(error)}") from error


def load_vocabulary(library: Path, path: Path) -> Vocabulary:
    """Loads the vocabulary of a GGUF file, which has been checked, with the library in a file."""
    return LlamaVocabulary(VocabularyFile(load(library), path))


def locate(path: Path | None, library: Path | None = None) -> Path:
    """Returns the model file to serve after a quick check: the given one, or the embedded one.

    Args:
        path: The model file; None for the embedded model.
        library: As for `find_library`.

    Raises:
        StartError: The file is missing or is not a GGUF file, or llama.cpp is not installed or
            has an unsupported version.
    """
    load(find_library(library))
    model = path or find_embedded_model()
    check_file(model)
    return model
