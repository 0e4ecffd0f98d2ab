"""Reads what stands before the tensors of a GGUF file, without the C library.

The layout is that of the format's version 2 and 3: magic, version, counts, keys with typed values,
then the tensors' names, shapes and types, in little-endian. A file is untrusted: nothing is read
beyond its end, and what it announces is neither allocated nor counted through before it is there.
The file is read in chunks, not mapped: a mapped file that shrinks ends the process by a signal.
"""

import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, TypeAlias

from friendli_endpoint.engine.llama.gguf.tensor_types import tensor_bytes, type_name
from friendli_endpoint.files import open_regular

__all__ = [
    "FLOAT32",
    "STRING",
    "GgufError",
    "Header",
    "Tensor",
    "Value",
    "read_header",
]

Number: TypeAlias = int | float | bool
Value: TypeAlias = Number | str | list[Number]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
UINT32, FLOAT32, STRING, ARRAY = 4, 6, 8, 9
"""Types of values, as the format numbers them."""

_NUMBERS = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}
_LONGEST_ARRAY = 1024
"""Numbers of an array that is kept, such as one for each layer; a longer one is the tokenizer's."""

_MAX_HEADER_BYTES = 64 << 20
"""Vocabularies of 262,144 tokens take 10 to 20 MB; larger headers would be read for seconds."""

_MAX_COUNT = 1 << 16
"""Of keys, and of tensors; the largest models have some thousands."""

_CHUNK_BYTES = 1 << 20
_LENGTH_BYTES = 8
"""Of the length before every text."""
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
        kinds: The type of each key's value, as the format numbers them; of all keys.
        tensors: In the order of the file.
        keys: How many keys there are, with those that `metadata` leaves out.
        pairs: Where the keys and their values are in the file, in bytes.
        alignment: Of the tensors' data, in bytes; a power of two.
        data: Where the tensors' data begin, in bytes; it may be beyond the file's end.
        size: Of the file, in bytes.
    """

    metadata: dict[str, Value]
    kinds: dict[str, int]
    tensors: tuple[Tensor, ...]
    keys: int
    pairs: range
    alignment: int
    data: int
    size: int


def read_header(path: Path) -> Header:
    """What stands before the tensors of a GGUF file.

    Raises:
        GgufError: It is not there, not a regular file, no GGUF file, or a damaged one.
    """
    try:
        with open_regular(path) as file:
            return _Reader(file).header()
    except OSError as error:
        raise GgufError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise GgufError(f"{path} is not a GGUF file, or is damaged: {error}") from error


class _Reader:
    """A place in the bytes of a file, moving on; ValueError where they are wrong."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._bytes = bytearray()
        self._at = 0

    def header(self) -> Header:
        if self._take(4) != _MAGIC:
            raise ValueError("it does not begin as one")
        version = self._number("I")
        if version not in _VERSIONS:
            raise ValueError(f"it is of version {version}")
        tensors, keys = int(self._number("Q")), int(self._number("Q"))
        for count, of in ((tensors, "tensors"), (keys, "keys")):
            if count > _MAX_COUNT:
                raise ValueError(f"it announces {count:,} {of}, more than {_MAX_COUNT:,}")
        found: dict[str, Value] = {}
        kinds: dict[str, int] = {}
        start = self._at
        for _ in range(keys):
            key = self._text().decode("utf-8", "replace")
            kind = int(self._number("I"))
            value = self._value(kind)
            if key in kinds:
                raise ValueError(f"it has the key {key} twice")
            kinds[key] = kind
            if value is not None:
                found[key] = value
        pairs = range(start, self._at)
        alignment = _alignment(found, kinds)
        named = [self._tensor() for _ in range(tensors)]
        if len({tensor.name for tensor in named}) < tensors:
            raise ValueError("it has two tensors of one name")
        data = -(-self._at // alignment) * alignment
        placed = tuple([replace(tensor, offset=data + tensor.offset) for tensor in named])
        return Header(found, kinds, placed, keys, pairs, alignment, data, self._size)

    def _tensor(self) -> Tensor:
        """Reads what is said of a tensor; its offset is from where the data begin."""
        name = self._text().decode("utf-8", "replace")
        dimensions = int(self._number("I"))
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            raise ValueError(f"it holds a tensor of {dimensions} dimensions")
        shape = tuple([int(self._number("Q")) for _ in range(dimensions)])
        kind = int(self._number("I"))
        return Tensor(name, shape, type_name(kind), int(self._number("Q")))

    def _value(self, kind: int) -> Value | None:
        """Reads a value; None for one that is not kept."""
        if kind == STRING:
            return self._text().decode("utf-8", "replace")
        if kind == ARRAY:
            return self._array()
        return self._number(_number_format(kind))

    def _array(self) -> list[Number] | None:
        kind, length = int(self._number("I")), int(self._number("Q"))
        if kind == ARRAY:
            raise ValueError("it holds a list of lists, which llama.cpp does not read")
        if kind == STRING:
            self._skip_texts(length)
            return None
        form = _number_format(kind)
        if length <= _LONGEST_ARRAY:
            return [self._number(form) for _ in range(length)]
        self._skip(length * struct.calcsize(f"<{form}"))
        return None

    def _skip_texts(self, count: int) -> None:
        """Passes over the hundred thousand texts of a tokenizer, in some hundredths of a second."""
        self._check(self._at + count * _LENGTH_BYTES)
        at, content = self._at, self._bytes
        for _ in range(count):
            start, at = at, at + _LENGTH_BYTES
            if at > len(content):
                self._load(at)
            at += int.from_bytes(content[start:at], "little")
        self._skip(at - self._at)

    def _text(self) -> bytes:
        return self._take(int(self._number("Q")))

    def _number(self, form: str) -> Number:
        start = self._at
        self._skip(struct.calcsize(f"<{form}"))
        (number,) = struct.unpack_from(f"<{form}", self._bytes, start)
        return number  # type: ignore[no-any-return]

    def _take(self, length: int) -> bytes:
        start = self._at
        self._skip(length)
        return bytes(self._bytes[start : self._at])

    def _skip(self, length: int) -> None:
        self._at += length
        if self._at > len(self._bytes):
            self._load(self._at)

    def _load(self, end: int) -> None:
        """Reads on, until all bytes before `end` are there."""
        self._check(end)
        while len(self._bytes) < end:
            chunk = self._file.read(_CHUNK_BYTES)
            if not chunk:
                raise ValueError("it ends too early")
            self._bytes += chunk

    def _check(self, end: int) -> None:
        """Refuses what leads beyond the end of the file, or of any header."""
        if end > self._size:
            raise ValueError("it ends too early")
        if end > _MAX_HEADER_BYTES:
            raise ValueError(f"its header is larger than {_MAX_HEADER_BYTES >> 20} MiB")


def _number_format(kind: int) -> str:
    if kind not in _NUMBERS:
        raise ValueError(f"it holds a value of type {kind}, which there is not")
    return _NUMBERS[kind]


def _alignment(metadata: dict[str, Value], kinds: dict[str, int]) -> int:
    alignment = metadata.get("general.alignment", _ALIGNMENT)
    kind = kinds.get("general.alignment", UINT32)
    if kind != UINT32 or not isinstance(alignment, int) or alignment.bit_count() != 1:
        raise ValueError("its alignment is not a power of two as a number of 32 bits")
    return alignment
