"""Validates the header of a LoRA adapter against its model, before llama.cpp reads the file.

llama.cpp aborts the process on many invalid headers, for example if a key has another type or a
tensor cannot be multiplied. The keys and shapes are those of llama.cpp's `llama-adapter.cpp`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from friendli_endpoint.engine.llama.gguf.layout import LayoutError, check_layout
from friendli_endpoint.engine.llama.gguf.reading import (
    FLOAT32,
    STRING,
    GgufError,
    Header,
    Tensor,
    further_paths,
    read_header,
)

__all__ = ["BaseModel", "check_lora_file", "read_base_model"]

TYPES = frozenset({"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"})
"""Types with which results do not depend on the batch; see `kernels.py`."""

_ARCHITECTURE = "general.architecture"
_REQUIRED_STRINGS = {"general.type": "adapter", "adapter.type": "lora"}
_ALPHA = "adapter.lora.alpha"
_UNSUPPORTED = {
    "adapter.alora.invocation_tokens": "it is an activated LoRA, which is not supported",
    "adapter.lora.prompt_prefix": "it requires a prompt prefix, which is not supported",
}
_A, _B = ".lora_a", ".lora_b"
_EMBEDDINGS, _OUTPUT = "token_embd.weight", "output.weight"


class _LoraError(Exception):
    """An adapter that cannot be served; the message is the reason."""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """Properties of a model that its adapters must match.

    Attributes:
        architecture: The value of `general.architecture`, such as "llama".
        shapes: Shape of each tensor by name, with the length of a row first.
    """

    architecture: str
    shapes: Mapping[str, tuple[int, ...]]


def read_base_model(path: Path) -> BaseModel:
    """Reads the properties that adapters must match, from all files of a model.

    Args:
        path: The model file, or the first file of a model that is split into several.

    Raises:
        GgufError: A file is missing, is not a GGUF file, or is damaged.
    """
    header = read_header(path)
    tensors = list(header.tensors)
    for next_path in further_paths(path, header):
        tensors.extend(read_header(next_path).tensors)
    architecture = str(header.metadata.get(_ARCHITECTURE, ""))
    return BaseModel(architecture, {tensor.name: tensor.shape for tensor in tensors})


def check_lora_file(path: Path, base: BaseModel) -> None:
    """Checks that a file is a LoRA adapter for a model.

    Raises:
        GgufError: It is not a LoRA adapter for the model; the message says why.
    """
    header = read_header(path)
    try:
        _check_keys(header, base.architecture)
        _check_tensors(header.tensors, base)
        check_layout(header)
        _check_end(header)
    except (_LoraError, LayoutError) as error:
        raise GgufError(f"{path} is not a LoRA adapter for this model: {error}") from error


def _check_end(header: Header) -> None:
    """Rejects a file that goes on after its tensors, as all of it would be copied."""
    end = max(tensor.offset + (tensor.nbytes or 0) for tensor in header.tensors)
    extra = header.size - end
    if extra >= header.alignment:
        raise _LoraError(f"{extra:,} bytes follow its last tensor")


def _check_keys(header: Header, architecture: str) -> None:
    for key, expected in {**_REQUIRED_STRINGS, _ARCHITECTURE: architecture}.items():
        value = header.metadata.get(key)
        if header.value_types.get(key) != STRING or value != expected:
            raise _LoraError(f"{key} is not {expected!r}")
    alpha = header.metadata.get(_ALPHA, 0.0)
    if header.value_types.get(_ALPHA, FLOAT32) != FLOAT32:
        raise _LoraError(f"{_ALPHA} is not a 32-bit float")
    if not isinstance(alpha, float) or not math.isfinite(alpha):
        raise _LoraError(f"{_ALPHA} is not finite")
    for key, reason in _UNSUPPORTED.items():
        if key in header.value_types:
            raise _LoraError(reason)


def _check_tensors(tensors: Iterable[Tensor], base: BaseModel) -> None:
    by_name = {tensor.name: tensor for tensor in tensors}
    if not by_name:
        raise _LoraError("it contains no tensors")
    for name, tensor in by_name.items():
        target, suffix = name[: -len(_A)], name[-len(_A) :]
        if suffix not in (_A, _B):
            raise _LoraError(f"the name of {name} does not end in {_A} or {_B}")
        if tensor.type not in TYPES:
            raise _LoraError(
                f"{name} has type {tensor.type}; supported types are {', '.join(_type_names())}"
            )
        if target not in base.shapes:
            raise _LoraError(f"the model has no tensor {target}")
        counterpart = target + (_B if suffix == _A else _A)
        if counterpart not in by_name:
            raise _LoraError(f"{counterpart} is missing")
        if suffix == _A:
            _check_pair(target, tensor.shape, by_name[counterpart].shape, base)


def _check_pair(name: str, a: tuple[int, ...], b: tuple[int, ...], base: BaseModel) -> None:
    """Checks the shapes of the two LoRA matrices of a tensor."""
    shape = base.shapes[name]
    if not len(shape) == len(a) == len(b) == 2:
        raise _LoraError(f"{name} or one of its LoRA matrices is not a matrix")
    (columns, rows), rank = shape, a[1]
    if name == _EMBEDDINGS:
        if _OUTPUT not in base.shapes:
            raise _LoraError(f"{name} is also the output matrix, so a LoRA cannot change it")
        fits = a == (b[0], rows) and b[1] == columns  # rows are looked up, not multiplied
    else:
        fits = a == (columns, rank) and b == (rank, rows)
    if not fits:
        raise _LoraError(
            f"LoRA matrices of shapes {_format(a)} and {_format(b)} do not fit "
            f"{name} of shape {_format(shape)}"
        )


def _type_names() -> list[str]:
    return sorted(TYPES)


def _format(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
