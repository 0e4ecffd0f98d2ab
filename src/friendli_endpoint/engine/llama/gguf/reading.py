"""Reads the header of a GGUF file: its metadata and tensor infos, without the C library.

Supports versions 2 and 3 of the format, in little-endian: magic, version, counts, keys with typed
values, then names, shapes and types of the tensors. The file is untrusted: nothing is read beyond
its end, and nothing is allocated or iterated for a count that the file does not have the bytes for.
The file is read in chunks instead of being mapped, because a mapped file that is truncated kills
the process with a signal.
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
    "further_paths",
    "read_header",
]

Number: TypeAlias = int | float | bool
Value: TypeAlias = Number | str | list[Number]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
UINT32, FLOAT32, STRING, ARRAY = 4, 6, 8, 9
"""Value types, as the format numbers them."""

_NUMBERS = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}
"""`struct` format of each numeric value type."""
_MAX_ARRAY_LENGTH = 1024
"""Maximum length of an array that is kept, such as one number per layer; longer ones belong to the
tokenizer."""

_MAX_HEADER_BYTES = 64 << 20
"""Maximum size of a header. Vocabularies of 262,144 tokens take 10 to 20 MB; larger headers would
take seconds to read."""

_MAX_COUNT = 1 << 16
"""Maximum number of keys, and of tensors; the largest models have some thousands."""

_CHUNK_BYTES = 1 << 20
_LENGTH_BYTES = 8
"""Size of the length before every string."""

_MAX_DIMENSIONS = 4

_ALIGNMENT = 32
"""Default of `general.alignment`, in bytes."""


class GgufError(Exception):
    """The file is not a GGUF file, or is damaged; the message says so in a sentence."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Info of one tensor in a file.

    Attributes:
        name: Name, such as "blk.0.attn_q.weight".
        shape: Sizes of its 1 to 4 dimensions, with the length of a row first.
        type: Name of the type, such as "Q4_K", or its number if it has no name in
            `tensor_types.py`.
        offset: Offset of the data from the start of the file, in bytes, as the file states it; it
            may be beyond the end of the file.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int = 0

    @property
    def dimensions(self) -> int:
        """Number of dimensions, from 1 to 4."""
        return len(self.shape)

    @property
    def nbytes(self) -> int | None:
        """Size of the data in bytes, or None if the type is unknown or does not fit the shape."""
        return tensor_bytes(self.shape, self.type)


@dataclass(frozen=True, slots=True)
class Header:
    """Header of a GGUF file.

    Attributes:
        metadata: Values by key, without arrays of strings and arrays of more than 1024 numbers.
        value_types: Value type of every key, as the format numbers them.
        tensors: Infos of all tensors, in the order of the file.
        num_keys: Number of all keys, including those that `metadata` leaves out.
        pairs: Byte range of the keys and values in the file.
        alignment: Alignment of the tensor data, in bytes; a power of two.
        data_start: Offset of the tensor data, in bytes; it may be beyond the end of the file.
        size: Size of the file, in bytes.
    """

    metadata: dict[str, Value]
    value_types: dict[str, int]
    tensors: tuple[Tensor, ...]
    num_keys: int
    pairs: range
    alignment: int
    data_start: int
    size: int


def read_header(path: Path) -> Header:
    """Reads the header of a GGUF file.

    Raises:
        GgufError: The file is missing, is not a regular file, is not a GGUF file, or is damaged.
    """
    try:
        with open_regular(path) as file:
            return _Reader(file).header()
    except OSError as error:
        raise GgufError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise GgufError(f"{path} is not a GGUF file, or is damaged: {error}") from error


class _Reader:
    """Reads a header from its start to its end; raises ValueError where it is invalid."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._bytes = bytearray()
        self._offset = 0

    def header(self) -> Header:
        if self._take(4) != _MAGIC:
            raise ValueError("it does not begin with GGUF")
        version = self._number("I")
        if version not in _VERSIONS:
            raise ValueError(f"it has the unsupported version {version}")
        num_tensors, num_keys = int(self._number("Q")), int(self._number("Q"))
        for count, name in ((num_tensors, "tensors"), (num_keys, "keys")):
            if count > _MAX_COUNT:
                raise ValueError(f"it declares {count:,} {name}, more than {_MAX_COUNT:,}")
        metadata: dict[str, Value] = {}
        value_types: dict[str, int] = {}
        start = self._offset
        for _ in range(num_keys):
            key = self._string().decode("utf-8", "replace")
            value_type = int(self._number("I"))
            value = self._value(value_type)
            if key in value_types:
                raise ValueError(f"it has the key {key} twice")
            value_types[key] = value_type
            if value is not None:
                metadata[key] = value
        pairs = range(start, self._offset)
        alignment = _alignment(metadata, value_types)
        infos = [self._tensor() for _ in range(num_tensors)]
        if len({info.name for info in infos}) < num_tensors:
            raise ValueError("it has two tensors of the same name")
        data_start = -(-self._offset // alignment) * alignment
        tensors = tuple([replace(info, offset=data_start + info.offset) for info in infos])
        return Header(
            metadata, value_types, tensors, num_keys, pairs, alignment, data_start, self._size
        )

    def _tensor(self) -> Tensor:
        """Reads the info of a tensor; its offset is relative to the start of the tensor data."""
        name = self._string().decode("utf-8", "replace")
        dimensions = int(self._number("I"))
        if not 1 <= dimensions <= _MAX_DIMENSIONS:
            raise ValueError(f"it has a tensor of {dimensions} dimensions")
        shape = tuple([int(self._number("Q")) for _ in range(dimensions)])
        type_number = int(self._number("I"))
        return Tensor(name, shape, type_name(type_number), int(self._number("Q")))

    def _value(self, value_type: int) -> Value | None:
        """Reads a value; returns None for a value that is not kept."""
        if value_type == STRING:
            return self._string().decode("utf-8", "replace")
        if value_type == ARRAY:
            return self._array()
        return self._number(_number_format(value_type))

    def _array(self) -> list[Number] | None:
        value_type, length = int(self._number("I")), int(self._number("Q"))
        if value_type == ARRAY:
            raise ValueError("it has an array of arrays, which llama.cpp does not support")
        if value_type == STRING:
            self._skip_strings(length)
            return None
        number_format = _number_format(value_type)
        if length <= _MAX_ARRAY_LENGTH:
            return [self._number(number_format) for _ in range(length)]
        self._skip(length * struct.calcsize(f"<{number_format}"))
        return None

    def _skip_strings(self, count: int) -> None:
        """Skips strings; a tokenizer's hundred thousand take some hundredths of a second."""
        self._check(self._offset + count * _LENGTH_BYTES)
        end, content = self._offset, self._bytes
        for _ in range(count):
            start, end = end, end + _LENGTH_BYTES
            if end > len(content):
                self._load(end)
            end += int.from_bytes(content[start:end], "little")
        self._skip(end - self._offset)

    def _string(self) -> bytes:
        return self._take(int(self._number("Q")))

    def _number(self, number_format: str) -> Number:
        start = self._offset
        self._skip(struct.calcsize(f"<{number_format}"))
        (number,) = struct.unpack_from(f"<{number_format}", self._bytes, start)
        return number  # type: ignore[no-any-return]

    def _take(self, length: int) -> bytes:
        start = self._offset
        self._skip(length)
        return bytes(self._bytes[start : self._offset])

    def _skip(self, length: int) -> None:
        self._offset += length
        if self._offset > len(self._bytes):
            self._load(self._offset)

    def _load(self, end: int) -> None:
        """Reads the file up to the offset `end`, or further."""
        self._check(end)
        while len(self._bytes) < end:
            chunk = self._file.read(_CHUNK_BYTES)
            if not chunk:
                raise ValueError("it is truncated")
            self._bytes += chunk

    def _check(self, end: int) -> None:
        """Raises ValueError if an offset is beyond the end of the file or the maximum header."""
        if end > self._size:
            raise ValueError("it is truncated")
        if end > _MAX_HEADER_BYTES:
            raise ValueError(f"its header is larger than {_MAX_HEADER_BYTES >> 20} MiB")


def _number_format(value_type: int) -> str:
    if value_type not in _NUMBERS:
        raise ValueError(f"it has a value of the unknown type {value_type}")
    return _NUMBERS[value_type]


def _alignment(metadata: dict[str, Value], value_types: dict[str, int]) -> int:
    alignment = metadata.get("general.alignment", _ALIGNMENT)
    value_type = value_types.get("general.alignment", UINT32)
    if value_type != UINT32 or not isinstance(alignment, int) or alignment.bit_count() != 1:
        raise ValueError("its general.alignment is not a power of two of type uint32")
    return alignment


def further_paths(path: Path, header: Header) -> list[Path]:
    """Returns the other files of a model, if it is split into several.

    Args:
        path: The first file.
        header: Its header.
    """
    count = header.metadata.get("split.count", 1)
    stem, _, rest = path.name.rpartition("-00001-of-")
    if not isinstance(count, int) or count < 2 or rest != f"{count:05}.gguf":
        return []
    return [
        path.with_name(f"{stem}-{number:05}-of-{count:05}.gguf") for number in range(2, count + 1)
    ]
