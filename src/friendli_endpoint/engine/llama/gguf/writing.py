"""Writes GGUF files of version 3, one tensor at a time, without the C library."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.llama.gguf.tensor_types import type_number

__all__ = ["Bytes", "NewTensor", "float_pair", "string_pair", "write_gguf"]

Bytes = NDArray[np.uint8]

_MAGIC, _VERSION = b"GGUF", 3
_FLOAT, _STRING = 6, 8


@dataclass(frozen=True, slots=True)
class NewTensor:
    """A tensor to write.

    Attributes:
        name: Name, such as "blk.0.attn_q.weight".
        shape: Sizes of the dimensions, with the length of a row first.
        type: Name of the type, such as "Q4_0".
        nbytes: Size of the data in bytes.
        data: Returns the data as a contiguous array; called once, when the tensor is written.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    nbytes: int
    data: Callable[[], Bytes]


def string_pair(key: str, value: str) -> bytes:
    """Encodes a key with a string value."""
    return _string(key) + struct.pack("<I", _STRING) + _string(value)


def float_pair(key: str, value: float) -> bytes:
    """Encodes a key with a 32-bit float value."""
    return _string(key) + struct.pack("<If", _FLOAT, value)


def write_gguf(
    path: Path, num_keys: int, pairs: bytes, tensors: Sequence[NewTensor], alignment: int = 32
) -> None:
    """Writes a GGUF file, with the data of one tensor in memory at a time.

    Args:
        path: The file; an existing file is overwritten.
        num_keys: Number of keys in `pairs`.
        pairs: All encoded keys and values, concatenated.
        tensors: The tensors, in the order of the file.
        alignment: Alignment of the tensor data in bytes; must be the value of `general.alignment`
            in `pairs`, or 32 if that key is missing.

    Raises:
        OSError: The file cannot be written.
        ValueError: The data of a tensor do not have `nbytes` bytes.
    """
    with path.open("wb") as file:
        file.write(_MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), num_keys))
        file.write(pairs)
        offset = 0
        for tensor in tensors:
            file.write(_info(tensor, offset))
            offset += tensor.nbytes + _padding(tensor.nbytes, alignment)
        file.write(bytes(_padding(file.tell(), alignment)))
        for tensor in tensors:
            if file.write(tensor.data().data) != tensor.nbytes:
                raise ValueError(f"the data of {tensor.name} do not have {tensor.nbytes} bytes")
            file.write(bytes(_padding(tensor.nbytes, alignment)))


def _info(tensor: NewTensor, offset: int) -> bytes:
    dimensions = len(tensor.shape)
    numbers = dimensions, *tensor.shape, type_number(tensor.type), offset
    return _string(tensor.name) + struct.pack(f"<I{dimensions}QIQ", *numbers)


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _padding(size: int, alignment: int) -> int:
    return -size % alignment
