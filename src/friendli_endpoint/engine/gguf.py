"""Reads what stands before the tensors of a GGUF file, without the C library.

The layout is that of the format's version 2 and 3: magic, version, counts, keys with typed values,
then the tensors' names, shapes and types, in little-endian. A file is untrusted: nothing is read
beyond its end.
"""

import mmap
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from friendli_endpoint.engine.tensor_types import tensor_bytes, type_name

__all__ = ["GgufError", "Header", "Tensor", "Value", "read_header"]

Number: TypeAlias = int | float | bool
Value: TypeAlias = Number | str | list[Number]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_NUMBERS = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}
_LONGEST_ARRAY = 1024
"""Numbers of an array that is kept, such as one for each layer; a longer one is the tokenizer's."""

_NESTING = 4
_MOST_DIMENSIONS = 4
_ALIGNMENT = 32
"""Of the tensors' data, where a file does not say."""


class GgufError(Exception):
    """A file that is no GGUF file, or a damaged one; the message says so in a sentence."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file.

    Attributes:
        name: Such as "blk.0.attn_q.weight".
        shape: Sizes of its 1 to 4 dimensions, that of a row first.
        type: Such as "Q4_K", or a number for one that has no name here.
        offset: Where the file says its data begin, in bytes; it may be beyond the file's end.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int = 0

    @property
    def dimensions(self) -> int:
        """How many, from 1 to 4."""
        return len(self.shape)

    @property
    def nbytes(self) -> int | None:
        """Bytes of its data, or None where they cannot be told."""
        return tensor_bytes(self.shape, self.type)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file tells of what is in it.

    Attributes:
        metadata: All keys but those whose values are long lists or lists of texts.
        tensors: In the order of the file.
        keys: How many keys there are, with those that `metadata` leaves out.
        pairs: Where the keys and their values are in the file, in bytes.
        alignment: Of the tensors' data, in bytes; a power of two.
    """

    metadata: dict[str, Value]
    tensors: tuple[Tensor, ...]
    keys: int
    pairs: range
    alignment: int


def read_header(path: Path) -> Header:
    """What stands before the tensors of a GGUF file.

    Raises:
        GgufError: It is not there, no GGUF file, or a damaged one.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return _Reader(view).header()
    except OSError as error:
        raise GgufError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise GgufError(f"{path} is not a GGUF file, or is damaged: {error}") from error


class _Reader:
    """A place in the bytes of a file, moving on; ValueError where they are wrong."""

    def __init__(self, view: mmap.mmap) -> None:
        self._view = view
        self._at = 0

    def header(self) -> Header:
        if self._view[:4] != _MAGIC:
            raise ValueError("it does not begin as one")
        self._at = 4
        version = self._number("I")
        if version not in _VERSIONS:
            raise ValueError(f"it is of version {version}")
        tensors, keys = int(self._number("Q")), int(self._number("Q"))
        found: dict[str, Value] = {}
        start = self._at
        for _ in range(keys):
            key = self._text().decode("utf-8", "replace")
            value = self._value(int(self._number("I")))
            if value is not None:
                found[key] = value
        pairs = range(start, self._at)
        alignment = _alignment(found)
        named = [self._tensor() for _ in range(tensors)]
        start = -(-self._at // alignment) * alignment
        placed = tuple([replace(each, offset=start + each.offset) for each in named])
        return Header(found, placed, keys, pairs, alignment)

    def _tensor(self) -> Tensor:
        """Reads what is said of a tensor; its offset is from where the data begin."""
        name = self._text().decode("utf-8", "replace")
        dimensions = int(self._number("I"))
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            raise ValueError(f"it holds a tensor of {dimensions} dimensions")
        shape = tuple([int(self._number("Q")) for _ in range(dimensions)])
        kind = int(self._number("I"))
        return Tensor(name, shape, type_name(kind), int(self._number("Q")))

    def _value(self, kind: int, nesting: int = 0) -> Value | None:
        """Reads a value; None for one that is not kept."""
        if kind == _STRING:
            return self._text().decode("utf-8", "replace")
        if kind == _ARRAY:
            return self._array(nesting + 1)
        return self._number(_number_format(kind))

    def _array(self, nesting: int) -> list[Number] | None:
        kind, length = int(self._number("I")), int(self._number("Q"))
        if kind in (_STRING, _ARRAY):
            if nesting > _NESTING:
                raise ValueError("its lists are too deep")
            for _ in range(length):
                self._text() if kind == _STRING else self._value(kind, nesting)
            return None
        form = _number_format(kind)
        if length <= _LONGEST_ARRAY:
            return [self._number(form) for _ in range(length)]
        self._skip(length * struct.calcsize(f"<{form}"))
        return None

    def _text(self) -> bytes:
        start = self._at + 8
        self._skip(8 + int.from_bytes(self._view[self._at : start], "little"))
        return self._view[start : self._at]

    def _number(self, form: str) -> Number:
        start = self._at
        self._skip(struct.calcsize(f"<{form}"))
        (number,) = struct.unpack_from(f"<{form}", self._view, start)
        return number  # type: ignore[no-any-return]

    def _skip(self, length: int) -> None:
        self._at += length
        if self._at > len(self._view):
            raise ValueError("it ends too early")


def _number_format(kind: int) -> str:
    if kind not in _NUMBERS:
        raise ValueError(f"it holds a value of type {kind}, which there is not")
    return _NUMBERS[kind]


def _alignment(metadata: dict[str, Value]) -> int:
    alignment = metadata.get("general.alignment", _ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise ValueError("its alignment is no power of two")
    return alignment
