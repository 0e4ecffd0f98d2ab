"""Format-aware mutations of GGUF files: a mutated file is invalid in a few places.

In half of the files the tensors are laid out again, so that their sizes and offsets are consistent
and a check can only find faults in the rest of the header.
"""

import math
import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from friendli_endpoint.engine.llama.gguf.tensor_types import tensor_bytes, type_name
from tests.support.gguf_edit import ARRAY, FORMATS, STRING, GgufDraft, Pair, number, text, texts

__all__ = ["MUTATIONS", "Mutation", "lay_out", "mutate"]

Mutation: TypeAlias = Callable[[GgufDraft, random.Random], None]

MAX_DATA_BYTES = 32 << 20
"""Maximum tensor data of a file that is laid out again; data beyond it are missing."""

_UNNAMED_BLOCKS = {"9": (32, 36), "15": (256, 292)}
_INTEGERS = (
    0, 1, 2, 3, 7, 8, 31, 33, 255, 513, 600, 65_535, 1 << 20, 2**31 - 1, 2**31, 2**32 - 1, 2**62,
    2**63, 2**64 - 1,
)  # fmt: skip
_FLOATS = (0.0, -1.0, 1e-30, 1e30, 3e38, math.inf, -math.inf, math.nan)
_TEXTS = ("", "a", "llama", "gpt2", "lora", "ü" * 300, "a\0b", "x" * 100_000)


def mutate(
    draft: GgufDraft,
    mutations: Mapping[str, Mutation],
    draw: random.Random,
    laid_out: float = 0.5,
) -> str:
    """Applies one to three mutations to a file; returns their names.

    Args:
        draft: The file.
        mutations: Mutations by name.
        draw: Source of random choices.
        laid_out: Probability that the tensors are laid out again.
    """
    names = draw.choices(list(mutations), k=draw.choice((1, 1, 2, 3)))
    for name in names:
        mutations[name](draft, draw)
    if draw.random() < laid_out:
        lay_out(draft, draw)
        names.append("laid out anew")
    return ", ".join(names)


def lay_out(draft: GgufDraft, draw: random.Random) -> None:
    """Gives each tensor the offset and the amount of data that its shape and type require."""
    chunks: list[bytes] = []
    offset = 0
    random_data = np.random.default_rng(draw.randrange(1 << 32))
    for tensor in draft.tensors:
        tensor.offset = offset % 2**64
        name = type_name(tensor.type)
        weights, size = _UNNAMED_BLOCKS.get(name, (1, 4))
        length = tensor_bytes(tensor.shape, name) if tensor.shape else 0
        if length is None:
            length = math.prod(tensor.shape) // weights * size
        length += -length % draft.alignment
        if sum(map(len, chunks)) + length <= MAX_DATA_BYTES:
            chunks.append(_weights(length, name, random_data))
        offset += length
    draft.data = b"".join(chunks)


def _weights(length: int, name: str, draw: np.random.Generator) -> bytes:
    """Draws small numbers for floats, and bytes with small scales for the other types."""
    if name == "F32":
        return draw.normal(0, 0.1, length // 4).astype("<f4").tobytes()
    if name == "F16":
        return draw.normal(0, 0.1, length // 2).astype("<f2").tobytes()
    return bytes(draw.integers(0, 0x20, length, np.uint8))


def _another_type(draft: GgufDraft, draw: random.Random) -> None:
    pair = draw.choice(draft.pairs)
    pair.kind = draw.choice([*range(13), 13, 99, 2**31])


def _another_kind_of_value(draft: GgufDraft, draw: random.Random) -> None:
    index = draw.randrange(len(draft.pairs))
    draft.pairs[index] = _random_pair(draft.pairs[index].key, draw)


def _random_pair(key: str, draw: random.Random) -> Pair:
    kind = draw.choice([*FORMATS, STRING, ARRAY])
    if kind == STRING:
        return text(key, draw.choice(_TEXTS))
    if kind == ARRAY:
        return texts(key, *draw.choices(_TEXTS[:6], k=draw.choice((0, 1, 5))))
    return _number_of(key, kind, draw)


def _another_value(draft: GgufDraft, draw: random.Random) -> None:
    """Replaces a number or text by another of the same type."""
    index = draw.randrange(len(draft.pairs))
    pair = draft.pairs[index]
    if pair.kind == STRING:
        draft.pairs[index] = text(pair.key, draw.choice(_TEXTS))
    elif pair.kind in FORMATS:
        draft.pairs[index] = _number_of(pair.key, pair.kind, draw)


def _number_of(key: str, kind: int, draw: random.Random) -> Pair:
    form = FORMATS[kind]
    if form in "fd":
        return number(key, kind, draw.choice(_FLOATS))
    if form == "?":
        return number(key, kind, draw.random() < 0.5)
    size = struct.calcsize(form)
    raw = draw.choice(_INTEGERS).to_bytes(8, "little")[:size]
    return Pair(key, kind, raw)


def _without_a_key(draft: GgufDraft, draw: random.Random) -> None:
    if len(draft.pairs) > 1:
        draft.pairs.pop(draw.randrange(len(draft.pairs)))


def _a_key_twice(draft: GgufDraft, draw: random.Random) -> None:
    draft.pairs.append(replace(draw.choice(draft.pairs)))


def _a_length_in_a_value(draft: GgufDraft, draw: random.Random) -> None:
    """Replaces the length of a text or a list, and keeps its bytes."""
    sized = [pair for pair in draft.pairs if pair.kind in (STRING, ARRAY) and len(pair.value) > 11]
    if not sized:
        return
    pair = draw.choice(sized)
    at = 0 if pair.kind == STRING else 4
    pair.value = pair.value[:at] + struct.pack("<Q", draw.choice(_INTEGERS)) + pair.value[at + 8 :]


def _another_tensor_type(draft: GgufDraft, draw: random.Random) -> None:
    tensor = draw.choice(draft.tensors)
    tensor.type = draw.choice([*range(42), 2**31, 2**32 - 1])


def _all_tensors_of_a_type(draft: GgufDraft, draw: random.Random) -> None:
    kind = draw.randrange(42)
    for tensor in draft.tensors:
        tensor.type = kind


def _another_length(draft: GgufDraft, draw: random.Random) -> None:
    shape = draw.choice(draft.tensors).shape
    index = draw.randrange(len(shape))
    nearby = (shape[index] + 1, shape[index] - 1, shape[index] * 2, shape[index] // 2)
    shape[index] = draw.choice((*nearby, *_INTEGERS)) % 2**64


def _other_dimensions(draft: GgufDraft, draw: random.Random) -> None:
    tensor = draw.choice(draft.tensors)
    change = draw.choice(("more", "fewer", "turned", "many", "none"))
    if change == "more":
        tensor.shape.append(draw.choice((0, 1, 1, 2, 3)))
    elif change == "fewer":
        tensor.shape = tensor.shape[:1]
    elif change == "turned":
        tensor.shape.reverse()
    else:
        tensor.shape = [1] * 9 if change == "many" else []


def _another_offset(draft: GgufDraft, draw: random.Random) -> None:
    tensor = draw.choice(draft.tensors)
    drawn = draw.choice(draft.tensors).offset
    tensor.offset = draw.choice((tensor.offset + 1, tensor.offset + 32, drawn, *_INTEGERS)) % 2**64


def _another_name(draft: GgufDraft, draw: random.Random) -> None:
    tensor, drawn = draw.choice(draft.tensors), draw.choice(draft.tensors)
    tensor.name = draw.choice((drawn.name, "", "a" * 63, "a" * 64, tensor.name[:-1], "blk.0."))


def _without_a_tensor(draft: GgufDraft, draw: random.Random) -> None:
    if len(draft.tensors) > 1:
        draft.tensors.pop(draw.randrange(len(draft.tensors)))


def _a_tensor_twice(draft: GgufDraft, draw: random.Random) -> None:
    tensor = draw.choice(draft.tensors)
    draft.tensors.append(replace(tensor, shape=[*tensor.shape]))


def _other_counts(draft: GgufDraft, draw: random.Random) -> None:
    count = draw.choice((len(draft.tensors) + 1, len(draft.pairs) - 1, *_INTEGERS))
    if draw.random() < 0.5:
        draft.num_tensors = count
    else:
        draft.num_keys = count


def _another_version(draft: GgufDraft, draw: random.Random) -> None:
    draft.version = draw.choice((0, 1, 2, 4, 3 << 24, 2**32 - 1))


def _another_magic(draft: GgufDraft, draw: random.Random) -> None:
    draft.magic = draw.choice((b"FUGG", b"GGML", b"GGU\0", b"\0\0\0\0"))


def _another_alignment(draft: GgufDraft, draw: random.Random) -> None:
    draft.pairs.append(_number_of("general.alignment", draw.choice((4, 4, 4, 5, 10)), draw))


def _without_its_end(draft: GgufDraft, draw: random.Random) -> None:
    draft.data = draft.data[: draw.randrange(len(draft.data) + 1)]


def _garbage_in_data(draft: GgufDraft, draw: random.Random) -> None:
    start = draw.randrange(len(draft.data) + 1)
    garbage = draw.choice((draw.randbytes(4096), b"\xff" * 4096, b"\0\0\x80\x7f" * 1024))
    draft.data = (draft.data[:start] + garbage + draft.data[start + 4096 :])[: len(draft.data)]


MUTATIONS: Mapping[str, Mutation] = {
    "another type of a value": _another_type,
    "another kind of value": _another_kind_of_value,
    "another value": _another_value,
    "another length in a value": _a_length_in_a_value,
    "without a key": _without_a_key,
    "a key twice": _a_key_twice,
    "another tensor type": _another_tensor_type,
    "all tensors of a type": _all_tensors_of_a_type,
    "another length": _another_length,
    "other dimensions": _other_dimensions,
    "another offset": _another_offset,
    "another name": _another_name,
    "without a tensor": _without_a_tensor,
    "a tensor twice": _a_tensor_twice,
    "other counts": _other_counts,
    "another version": _another_version,
    "another magic": _another_magic,
    "another alignment": _another_alignment,
    "without its end": _without_its_end,
    "garbage in data": _garbage_in_data,
}
