"""Checks the header of a LoRA adapter against its model, before llama.cpp sees the file.

llama.cpp ends the process on many a header: a key of another type, a tensor that it cannot
multiply by. (The keys and shapes are those of its `llama-adapter.cpp`.)
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
    read_header,
)

__all__ = ["BaseModel", "check_lora_file", "read_base_model"]

TYPES = frozenset({"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"})
"""Those with which an answer gets the same bits whatever else is computed, as `kernels.py` says."""

_ARCHITECTURE = "general.architecture"
_TEXTS = {"general.type": "adapter", "adapter.type": "lora"}
_ALPHA = "adapter.lora.alpha"
_NOT_HONOURED = {
    "adapter.alora.invocation_tokens": "it is an activated LoRA, which is not supported",
    "adapter.lora.prompt_prefix": "it asks for a prefix of every prompt, which is not supported",
}
_FIRST, _SECOND = ".lora_a", ".lora_b"
_EMBEDDINGS, _OUTPUT = "token_embd.weight", "output.weight"


class _LoraError(Exception):
    """An adapter that cannot be served; the message is the reason."""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A model as far as its adapters must fit it.

    Attributes:
        architecture: As llama.cpp names it, such as "llama".
        shapes: Sizes of its tensors by name, that of a row first.
    """

    architecture: str
    shapes: Mapping[str, tuple[int, ...]]


def read_base_model(path: Path) -> BaseModel:
    """Reads what adapters must fit from a model file, or from all files of a model.

    Raises:
        GgufError: A file is not there, not a GGUF file, or damaged.
    """
    header = read_header(path)
    count = header.metadata.get("split.count", 1)
    tensors = list(header.tensors)
    stem, _, rest = path.name.rpartition("-00001-of-")
    if isinstance(count, int) and count > 1 and rest == f"{count:05}.gguf":
        for number in range(2, count + 1):
            following = path.with_name(f"{stem}-{number:05}-of-{count:05}.gguf")
            tensors.extend(read_header(following).tensors)
    architecture = str(header.metadata.get(_ARCHITECTURE, ""))
    return BaseModel(architecture, {tensor.name: tensor.shape for tensor in tensors})


def check_lora_file(path: Path, base: BaseModel) -> None:
    """Checks that a file is a LoRA for a model.

    Raises:
        GgufError: It is not; the message says why in a sentence.
    """
    header = read_header(path)
    try:
        _check_keys(header, base.architecture)
        _check_tensors(header.tensors, base)
        check_layout(header)
    except (_LoraError, LayoutError) as error:
        raise GgufError(f"{path} is not a LoRA adapter for this model: {error}") from error


def _check_keys(header: Header, architecture: str) -> None:
    for key, expected in {**_TEXTS, _ARCHITECTURE: architecture}.items():
        value = header.metadata.get(key)
        if header.kinds.get(key) != STRING or value != expected:
            raise _LoraError(f"{key} is not {expected!r}")
    alpha = header.metadata.get(_ALPHA, 0.0)
    if header.kinds.get(_ALPHA, FLOAT32) != FLOAT32:
        raise _LoraError(f"{_ALPHA} is not a float of 32 bits")
    if not isinstance(alpha, float) or not math.isfinite(alpha):
        raise _LoraError(f"{_ALPHA} is not finite")
    for key, reason in _NOT_HONOURED.items():
        if key in header.kinds:
            raise _LoraError(reason)


def _check_tensors(tensors: Iterable[Tensor], base: BaseModel) -> None:
    found = {tensor.name: tensor for tensor in tensors}
    if not found:
        raise _LoraError("it holds no tensors")
    for name, tensor in found.items():
        changed, suffix = name[: -len(_FIRST)], name[-len(_FIRST) :]
        if suffix not in (_FIRST, _SECOND):
            raise _LoraError(f"{name} is not a part of a LoRA ({_FIRST} or {_SECOND})")
        if tensor.type not in TYPES:
            raise _LoraError(f"{name} is of type {tensor.type}; types are {', '.join(_listed())}")
        if changed not in base.shapes:
            raise _LoraError(f"the model has no tensor {changed}")
        counterpart = changed + (_SECOND if suffix == _FIRST else _FIRST)
        if counterpart not in found:
            raise _LoraError(f"{counterpart} is missing")
        if suffix == _FIRST:
            _check_pair(changed, tensor.shape, found[counterpart].shape, base)


def _check_pair(
    name: str, first: tuple[int, ...], second: tuple[int, ...], base: BaseModel
) -> None:
    """Checks the shapes of the two matrices that change a tensor."""
    shape = base.shapes[name]
    if not len(shape) == len(first) == len(second) == 2:
        raise _LoraError(f"{name} or what changes it is not a matrix")
    (columns, rows), rank = shape, first[1]
    if name == _EMBEDDINGS:
        if _OUTPUT not in base.shapes:
            raise _LoraError(f"{name} is the matrix of the output, too, and cannot be changed")
        fits = first == (second[0], rows) and second[1] == columns  # rows are looked up, not summed
    else:
        fits = first == (columns, rank) and second == (rank, rows)
    if not fits:
        raise _LoraError(
            f"{name} is {_shown(shape)}, which {_shown(first)} and {_shown(second)} do not change"
        )


def _listed() -> list[str]:
    return sorted(TYPES)


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
