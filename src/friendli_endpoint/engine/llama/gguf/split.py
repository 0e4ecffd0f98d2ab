"""Matrices of type Q4_1 in two parts: Q4_0, which is multiplied faster, and a LoRA of the rest.

A block of Q4_1 is 32 weights `d * q + m`, with q from 0 to 15. That is `d * (q - 8)`, a block of
Q4_0 with the same scale and the same q, and an offset `m + 8 * d`. So a product is that of the
Q4_0 part, and the offsets times the sums of the input over each block. The latter is a LoRA: its
first matrix sums, its second holds the offsets.

Both are quantised, so that a token gets the same bits in batches of every size. The first holds
zeros and ones, which Q4_0 keeps exactly. The second is Q8_0, twice: the offsets, and beside them
what their rounding left; so the first sums twice. (Figures: docs/benchmarks.md.)
"""

import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.llama.gguf.model_file import ModelFile
from friendli_endpoint.engine.llama.gguf.reading import GgufError, Header, Tensor, read_header
from friendli_endpoint.engine.llama.gguf.writing import (
    Bytes,
    NewTensor,
    number_pair,
    text_pair,
    write_gguf,
)

__all__ = ["ARCHITECTURES", "LEAST_WEIGHTS", "SplitError", "can_split", "is_split", "split"]

ARCHITECTURES = frozenset({"gemma3", "llama", "qwen2", "qwen3"})
"""Those of which it is tested that llama.cpp lets a LoRA change each of the matrices."""

LEAST_WEIGHTS = 1 << 18
"""Weights of the smallest matrix for which two products take less time than one."""

_NAME = re.compile(r"blk\.\d+\.(attn_(q|k|v|qkv|output)|ffn_(gate|up|down))\.weight")

_BLOCK = 32
"""Weights that share a scale, in all three types."""

_Q4_0_BYTES, _Q4_1_BYTES, _Q8_0_BYTES = 18, 20, 34
_ZEROS, _ONES = 0x88, 0x99
"""Two weights of Q4_0 with a scale of one: half a byte is the weight and 8."""

_LARGEST = 127
"""Of the steps of Q8_0."""

Numbers = NDArray[np.float32]


class SplitError(Exception):
    """A model cannot be split; the message says why in a sentence."""


def is_split(tensor: Tensor) -> bool:
    """Whether a tensor is one of those that are split: a large matrix of a layer, of type Q4_1."""
    return (
        tensor.type == "Q4_1"
        and len(tensor.shape) == 2
        and tensor.shape[0] * tensor.shape[1] >= LEAST_WEIGHTS
        and _NAME.fullmatch(tensor.name) is not None
    )


def can_split(file: ModelFile) -> bool:
    """Whether a model is of a kind that can be split, and has a matrix that would be."""
    return _can_split(file.architecture, file.tensors)


def split(source: Path, model: Path, offsets: Path) -> bool:
    """Writes a model in two parts, holding one matrix at a time.

    Matrices with scales that are not finite stay as they are.

    Args:
        source: A GGUF file.
        model: Where the model goes: with other matrices, and otherwise the same to the byte.
        offsets: Where the LoRA goes, without which that model is of no use.

    Returns:
        Whether anything was split. If not, nothing is written: `can_split` says no, the file is one
        of several of a model, or no scales are finite.

    Raises:
        SplitError: The source cannot be read or is damaged, or there is no room. Neither file is
            left behind.
    """
    try:
        header = read_header(source)
        architecture = header.metadata.get("general.architecture")
        one = header.metadata.get("split.count", 1) in (0, 1)
        if not one or not _can_split(architecture, header.tensors):
            return False
        file: Bytes = np.memmap(source, np.uint8, "r")
        _check(source, file, header.tensors)
        matrices = [each for each in header.tensors if is_split(each) and _is_finite(file, each)]
        if not matrices:
            return False
        _write_model(model, file, header, matrices)
        _write_offsets(offsets, file, str(architecture), matrices)
    except GgufError as error:
        raise SplitError(str(error)) from error
    except OSError as error:
        model.unlink(missing_ok=True)
        offsets.unlink(missing_ok=True)
        raise SplitError(f"cannot split {source}: {error.strerror or error}") from error
    return True


def _can_split(architecture: object, tensors: Sequence[Tensor]) -> bool:
    return (
        architecture in ARCHITECTURES
        and any(is_split(tensor) for tensor in tensors)
        and all(tensor.nbytes is not None for tensor in tensors)
    )


def _check(source: Path, file: Bytes, tensors: Iterable[Tensor]) -> None:
    """Refuses data beyond the end of a file, and data that several tensors share."""
    end = 0
    for tensor in tensors:
        if tensor.offset < end:
            raise SplitError(f"cannot split {source}: {tensor.name} overlaps what is before it")
        end = tensor.offset + (tensor.nbytes or 0)
        if end > file.size:
            raise SplitError(f"cannot split {source}: it ends before {tensor.name} does")


def _write_model(path: Path, file: Bytes, header: Header, matrices: Iterable[Tensor]) -> None:
    names = {matrix.name for matrix in matrices}
    tensors = []
    for each in header.tensors:
        if each.name in names:
            size = each.shape[0] * each.shape[1] // _BLOCK * _Q4_0_BYTES
            data = partial(_without_offsets, file, each)
            tensors.append(NewTensor(each.name, each.shape, "Q4_0", size, data))
        else:
            data = partial(_data, file, each)
            tensors.append(NewTensor(each.name, each.shape, each.type, each.nbytes or 0, data))
    pairs = file[header.pairs.start : header.pairs.stop].tobytes()
    write_gguf(path, header.keys, pairs, tensors, header.alignment)


def _write_offsets(path: Path, file: Bytes, architecture: str, matrices: Iterable[Tensor]) -> None:
    pairs = [
        text_pair("general.type", "adapter"),
        text_pair("general.architecture", architecture),
        text_pair("adapter.type", "lora"),
        number_pair("adapter.lora.alpha", 0.0),  # it is added as it is
    ]
    tensors = []
    for each in matrices:
        columns, rows = each.shape
        blocks = columns // _BLOCK
        rank = 2 * _part(blocks)
        name, size = f"{each.name}.lora_a", rank * blocks * _Q4_0_BYTES
        tensors.append(NewTensor(name, (columns, rank), "Q4_0", size, partial(_sums, blocks)))
        name, size = f"{each.name}.lora_b", rows * rank // _BLOCK * _Q8_0_BYTES
        data = partial(_offsets, file, each)
        tensors.append(NewTensor(name, (rank, rows), "Q8_0", size, data))
    write_gguf(path, len(pairs), b"".join(pairs), tensors)


def _part(blocks: int) -> int:
    """Columns of each half of the offsets, one for each block, filled up to blocks of their own."""
    return -(-blocks // _BLOCK) * _BLOCK


def _data(file: Bytes, tensor: Tensor) -> Bytes:
    return file[tensor.offset : tensor.offset + (tensor.nbytes or 0)]


def _blocks(file: Bytes, matrix: Tensor) -> Bytes:
    """Blocks of shape (rows, blocks of a row, 20): d and m as float16, then 32 times q."""
    columns, rows = matrix.shape
    return _data(file, matrix).reshape(rows, columns // _BLOCK, _Q4_1_BYTES)


def _scales(file: Bytes, matrix: Tensor) -> Numbers:
    """The d and m of each block, of shape (rows, blocks of a row, 2)."""
    scales = np.ascontiguousarray(_blocks(file, matrix)[:, :, :4])
    return scales.view("<f2").astype(np.float32)


def _is_finite(file: Bytes, matrix: Tensor) -> bool:
    """Whether the scales are; then the offsets, at most nine times as large, fit in Q8_0."""
    return bool(np.isfinite(_scales(file, matrix)).all())


def _without_offsets(file: Bytes, matrix: Tensor) -> Bytes:
    blocks = _blocks(file, matrix)
    return np.concatenate([blocks[:, :, :2], blocks[:, :, 4:]], axis=2)


def _offsets(file: Bytes, matrix: Tensor) -> Bytes:
    """The second matrix of the LoRA: the offsets, and what their rounding leaves."""
    scales = _scales(file, matrix)
    rows, blocks, _ = scales.shape
    offsets = np.zeros((rows, _part(blocks)), np.float32)
    offsets[:, :blocks] = scales[:, :, 1] + 8 * scales[:, :, 0]
    rounded, numbers = _quantised(offsets)
    rest, _ = _quantised(offsets - numbers)
    return np.concatenate([rounded, rest], axis=1)


def _sums(blocks: int) -> Bytes:
    """The first matrix of the LoRA: a row of ones for each block, and all once more."""
    half, index = _part(blocks), np.arange(blocks)
    rows = np.empty((2 * half, blocks, _Q4_0_BYTES), np.uint8)
    rows[:, :, :2] = np.array([1], "<f2").view(np.uint8)
    rows[:, :, 2:] = _ZEROS
    rows[index, index, 2:] = rows[half + index, index, 2:] = _ONES
    return rows


def _quantised(numbers: Numbers) -> tuple[Bytes, Numbers]:
    """Numbers as Q8_0, of shape (rows, blocks, 34), and as what that says.

    As in llama.cpp, the scale is a 127th of the block's largest number. Unlike there, numbers are
    divided by the scale as float16 has it, and it is the next larger one where the largest number
    would be more than half a step beyond the last: no number is off by more than half a step.
    """
    groups = numbers.reshape(len(numbers), -1, _BLOCK)
    largest = np.abs(groups).max(axis=2)
    scales = (largest / _LARGEST).astype("<f2")
    short = scales.astype(np.float32) * (_LARGEST + 0.5) < largest
    scales = np.where(short, np.nextafter(scales, np.float16(np.inf)), scales)[:, :, None]
    steps = scales.astype(np.float32)
    counts = np.rint(groups / np.where(steps > 0, steps, 1)).clip(-_LARGEST, _LARGEST)
    blocks = np.concatenate([scales.view(np.uint8), counts.astype(np.int8).view(np.uint8)], axis=2)
    return blocks, (counts * steps).reshape(numbers.shape)
