"""Writes GGUF files of version 3, tensor after tensor, without the C library."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.llama.gguf.tensor_types import type_number

__all__ = ["Bytes", "NewTensor", "number_pair", "text_pair", "write_gguf"]

Bytes = NDArray[np.uint8]

_MAGIC, _VERSION = b"GGUF", 3
_FLOAT, _STRING = 6, 8


@dataclass(frozen=True, slots=True)
class NewTensor:
    """A tensor that is to be written.

    Attributes:
        name: Such as "blk.0.attn_q.weight".
        shape: Its sizes, that of a row first.
        type: Such as "Q4_0".
        nbytes: Bytes of its data.
        data: Makes the data, contiguous, when their turn has come.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    nbytes: int
    data: Callable[[], Bytes]


def text_pair(key: str, value: str) -> bytes:
    """A key with a text, as it is in a file."""
    return _text(key) + struct.pack("<I", _STRING) + _text(value)


def number_pair(key: str, value: float) -> bytes:
    """A key with a number of 32 bits, as it is in a file."""
    return _text(key) + struct.pack("<If", _FLOAT, value)


def write_gguf(
    path: Path, keys: int, pairs: bytes, tensors: Sequence[NewTensor], alignment: int = 32
) -> None:
    """Writes a file, holding the data of one tensor at a time.

    Args:
        path: The file; one that is there is written over.
        keys: How many keys there are.
        pairs: All of them with their values, one after the other.
        tensors: In the order of the file.
        alignment: Of the tensors' data; what `pairs` say, or 32 if they say nothing.

    Raises:
        OSError: It cannot be written.
        ValueError: The data of a tensor are of another length than was said.
    """
    with path.open("wb") as file:
        file.write(_MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), keys))
        file.write(pairs)
        offset = 0
        for tensor in tensors:
            file.write(_description(tensor, offset))
            offset += tensor.nbytes + _padding(tensor.nbytes, alignment)
        file.write(bytes(_padding(file.tell(), alignment)))
        for tensor in tensors:
            if file.write(tensor.data().data) != tensor.nbytes:
                raise ValueError(f"{tensor.name} is not of {tensor.nbytes} bytes")
            file.write(bytes(_padding(tensor.nbytes, alignment)))


def _description(tensor: NewTensor, offset: int) -> bytes:
    dimensions = len(tensor.shape)
    numbers = dimensions, *tensor.shape, type_number(tensor.type), offset
    return _text(tensor.name) + struct.pack(f"<I{dimensions}QIQ", *numbers)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _padding(size: int, alignment: int) -> int:
    return -size % alignment
