"""Reads a GGUF file into editable parts, and writes it back."""

import struct
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FORMATS", "GgufDraft", "Pair", "TensorInfo", "number", "text", "texts"]

FORMATS = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}
"""Struct format of numbers, by GGUF value type."""

STRING, ARRAY = 8, 9


@dataclass
class Pair:
    """A metadata key with its value type and its encoded value."""

    key: str
    kind: int
    value: bytes


@dataclass
class TensorInfo:
    """A tensor's entry in the header; its offset is relative to the beginning of the data."""

    name: str
    shape: list[int]
    type: int
    offset: int


@dataclass
class GgufDraft:
    """An editable GGUF file; a count of None is written as the length of its list."""

    pairs: list[Pair]
    tensors: list[TensorInfo]
    data: bytes
    magic: bytes = b"GGUF"
    version: int = 3
    num_tensors: int | None = None
    num_keys: int | None = None
    alignment: int = 32

    @classmethod
    def read(cls, path: Path) -> "GgufDraft":
        """Parses a valid file."""
        return _Reader(path.read_bytes()).draft()

    def write(self, path: Path) -> Path:
        """Writes the file."""
        path.write_bytes(self.header() + self.data)
        return path

    def header(self) -> bytes:
        """Returns the encoded header with its padding."""
        tensors = len(self.tensors) if self.num_tensors is None else self.num_tensors
        keys = len(self.pairs) if self.num_keys is None else self.num_keys
        head = [self.magic, struct.pack("<IQQ", self.version, tensors, keys)]
        head += [_string(p.key) + struct.pack("<I", p.kind) + p.value for p in self.pairs]
        for t in self.tensors:
            shape = struct.pack(f"<I{len(t.shape)}Q", len(t.shape), *t.shape)
            head.append(_string(t.name) + shape + struct.pack("<IQ", t.type, t.offset))
        header = b"".join(head)
        return header + bytes(-len(header) % self.alignment)

    def pair(self, key: str) -> Pair:
        """Returns the pair with this key."""
        return next(pair for pair in self.pairs if pair.key == key)


def number(key: str, kind: int, value: float) -> Pair:
    """Returns a key with a number."""
    return Pair(key, kind, struct.pack(f"<{FORMATS[kind]}", value))


def text(key: str, value: str) -> Pair:
    """Returns a key with a text."""
    return Pair(key, STRING, _string(value))


def texts(key: str, *values: str) -> Pair:
    """Returns a key with a list of texts."""
    head = struct.pack("<IQ", STRING, len(values))
    return Pair(key, ARRAY, head + b"".join(map(_string, values)))


def _string(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def draft(self) -> GgufDraft:
        magic = self._content[:4]
        self._at = len(magic)
        version, num_tensors, num_keys = self._take("IQQ")
        pairs = [self._pair() for _ in range(num_keys)]
        tensors = [self._tensor() for _ in range(num_tensors)]
        start = -(-self._at // 32) * 32
        return GgufDraft(pairs, tensors, self._content[start:], magic, version)

    def _pair(self) -> Pair:
        key = self._string()
        (kind,) = self._take("I")
        start = self._at
        self._skip(kind)
        return Pair(key, kind, self._content[start : self._at])

    def _tensor(self) -> TensorInfo:
        name = self._string()
        (dimensions,) = self._take("I")
        *shape, type, offset = self._take(f"{dimensions}QIQ")
        return TensorInfo(name, shape, type, offset)

    def _skip(self, kind: int) -> None:
        if kind == STRING:
            self._string()
        elif kind == ARRAY:
            kind, length = self._take("IQ")
            if kind == STRING:
                for _ in range(length):
                    self._string()
            else:
                self._at += length * struct.calcsize(FORMATS[kind])
        else:
            self._take(FORMATS[kind])

    def _string(self) -> str:
        (length,) = self._take("Q")
        self._at += length
        return self._content[self._at - length : self._at].decode()

    def _take(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from("<" + form, self._content, self._at)
        self._at += struct.calcsize("<" + form)
        return found
