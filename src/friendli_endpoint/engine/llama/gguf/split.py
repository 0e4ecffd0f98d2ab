"""Splits Q4_1 matrices into Q4_0 matrices, which have faster kernels, and a LoRA of the offsets.

A block of Q4_1 is 32 weights `d * q + m`, with q from 0 to 15. This equals `d * (q - 8)`, a block
of Q4_0 with the same d and q, plus a constant offset `m + 8 * d`. So the product with an input is
the product of the Q4_0 matrix, plus the product of the offsets with the sums of the input over each
block. The second product is a LoRA: matrix A sums the input, matrix B has the offsets.

Both LoRA matrices are quantized, so that results do not depend on the batch size (`kernels.py`). A
consists of zeros and ones, which Q4_0 represents exactly. B is in Q8_0 and has two halves: the
offsets, and the rounding errors of the offsets. So A computes every sum twice. Figures are in
docs/benchmarks.md.
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
    float_pair,
    string_pair,
    write_gguf,
)

__all__ = ["ARCHITECTURES", "MIN_WEIGHTS", "SplitError", "can_split", "is_splittable", "split"]

ARCHITECTURES = frozenset({"gemma3", "llama", "qwen2", "qwen3"})
"""Architectures for which tests show that llama.cpp applies a LoRA to each of the matrices."""

MIN_WEIGHTS = 1 << 18
"""Minimum number of weights in a matrix; in smaller ones two products take longer than one."""

_NAME = re.compile(r"blk\.\d+\.(attn_(q|k|v|qkv|output)|ffn_(gate|up|down))\.weight")

_BLOCK = 32
"""Number of weights in a block, which share a scale, in all three types."""

_Q4_0_BYTES, _Q4_1_BYTES, _Q8_0_BYTES = 18, 20, 34
"""Size of a block of each type."""

_ZEROS, _ONES = 0x88, 0x99
"""A byte with two Q4_0 weights at a scale of 1; each half is the weight plus 8."""

_MAX_Q8_0 = 127
"""Maximum of a quantized weight in Q8_0."""

Numbers = NDArray[np.float32]


class SplitError(Exception):
    """The model cannot be split; the message says why in a sentence."""


def is_splittable(tensor: Tensor) -> bool:
    """Whether a tensor is a large Q4_1 matrix of a layer."""
    return (
        tensor.type == "Q4_1"
        and len(tensor.shape) == 2
        and tensor.shape[0] * tensor.shape[1] >= MIN_WEIGHTS
        and _NAME.fullmatch(tensor.name) is not None
    )


def can_split(file: ModelFile) -> bool:
    """Whether a model has a supported architecture and at least one matrix to split."""
    return _can_split(file.architecture, file.tensors)


def split(source: Path, model: Path, offsets: Path) -> bool:
    """Splits a model into a model file and a LoRA file, with one matrix in memory at a time.

    Matrices with scales that are not finite are not split.

    Args:
        source: A GGUF file.
        model: Path of the model file to write: the source with Q4_0 in place of split matrices, and
            otherwise identical.
        offsets: Path of the LoRA file to write, without which the model file is useless.

    Returns:
        Whether anything was split. If not, nothing is written: `can_split` is false, the source is
        one of several files of a model, or every matrix has scales that are not finite.

    Raises:
        SplitError: The source cannot be read or is damaged, or a file cannot be written. Neither
            file is left behind.
    """
    try:
        header = read_header(source)
        architecture = header.metadata.get("general.architecture")
        is_single_file = header.metadata.get("split.count", 1) in (0, 1)
        if not is_single_file or not _can_split(architecture, header.tensors):
            return False
        file: Bytes = np.memmap(source, np.uint8, "r")
        _check(source, file, header.tensors)
        matrices = [
            tensor
            for tensor in header.tensors
            if is_splittable(tensor) and _has_finite_scales(file, tensor)
        ]
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
        and any(is_splittable(tensor) for tensor in tensors)
        and all(tensor.nbytes is not None for tensor in tensors)
    )


def _check(source: Path, file: Bytes, tensors: Iterable[Tensor]) -> None:
    """Raises SplitError if data are beyond the end of the file or tensors overlap."""
    end = 0
    for tensor in tensors:
        if tensor.offset < end:
            raise SplitError(f"cannot split {source}: {tensor.name} overlaps the previous tensor")
        end = tensor.offset + (tensor.nbytes or 0)
        if end > file.size:
            raise SplitError(f"cannot split {source}: it ends before the data of {tensor.name}")


def _write_model(path: Path, file: Bytes, header: Header, matrices: Iterable[Tensor]) -> None:
    names = {matrix.name for matrix in matrices}
    tensors = []
    for tensor in header.tensors:
        name, shape = tensor.name, tensor.shape
        if name in names:
            size = shape[0] * shape[1] // _BLOCK * _Q4_0_BYTES
            data = partial(_without_offsets, file, tensor)
            tensors.append(NewTensor(name, shape, "Q4_0", size, data))
        else:
            data = partial(_data, file, tensor)
            tensors.append(NewTensor(name, shape, tensor.type, tensor.nbytes or 0, data))
    pairs = file[header.pairs.start : header.pairs.stop].tobytes()
    write_gguf(path, header.num_keys, pairs, tensors, header.alignment)


def _write_offsets(path: Path, file: Bytes, architecture: str, matrices: Iterable[Tensor]) -> None:
    pairs = [
        string_pair("general.type", "adapter"),
        string_pair("general.architecture", architecture),
        string_pair("adapter.type", "lora"),
        float_pair("adapter.lora.alpha", 0.0),  # alpha 0: the LoRA is added without scaling
    ]
    tensors = []
    for matrix in matrices:
        columns, rows = matrix.shape
        blocks = columns // _BLOCK
        rank = 2 * _half_rank(blocks)
        name, size = f"{matrix.name}.lora_a", rank * blocks * _Q4_0_BYTES
        tensors.append(NewTensor(name, (columns, rank), "Q4_0", size, partial(_matrix_a, blocks)))
        name, size = f"{matrix.name}.lora_b", rows * rank // _BLOCK * _Q8_0_BYTES
        data = partial(_matrix_b, file, matrix)
        tensors.append(NewTensor(name, (rank, rows), "Q8_0", size, data))
    write_gguf(path, len(pairs), b"".join(pairs), tensors)


def _half_rank(blocks: int) -> int:
    """Columns of each half of B: one per block of the matrix, rounded up to whole blocks of B."""
    return -(-blocks // _BLOCK) * _BLOCK


def _data(file: Bytes, tensor: Tensor) -> Bytes:
    return file[tensor.offset : tensor.offset + (tensor.nbytes or 0)]


def _blocks(file: Bytes, matrix: Tensor) -> Bytes:
    """Blocks of shape (rows, blocks per row, 20), uint8: d and m as float16, then 32 q."""
    columns, rows = matrix.shape
    return _data(file, matrix).reshape(rows, columns // _BLOCK, _Q4_1_BYTES)


def _scales(file: Bytes, matrix: Tensor) -> Numbers:
    """The d and m of each block, shape (rows, blocks per row, 2)."""
    scales = np.ascontiguousarray(_blocks(file, matrix)[:, :, :4])
    return scales.view("<f2").astype(np.float32)


def _has_finite_scales(file: Bytes, matrix: Tensor) -> bool:
    """Whether d and m are finite; then the offsets, at most 9 times as large, fit in Q8_0."""
    return bool(np.isfinite(_scales(file, matrix)).all())


def _without_offsets(file: Bytes, matrix: Tensor) -> Bytes:
    blocks = _blocks(file, matrix)
    return np.concatenate([blocks[:, :, :2], blocks[:, :, 4:]], axis=2)


def _matrix_b(file: Bytes, matrix: Tensor) -> Bytes:
    """Matrix B of the LoRA: the offsets, then their rounding errors."""
    scales = _scales(file, matrix)
    rows, blocks, _ = scales.shape
    offsets = np.zeros((rows, _half_rank(blocks)), np.float32)
    offsets[:, :blocks] = scales[:, :, 1] + 8 * scales[:, :, 0]
    quantized, dequantized = _quantize(offsets)
    errors, _ = _quantize(offsets - dequantized)
    return np.concatenate([quantized, errors], axis=1)


def _matrix_a(blocks: int) -> Bytes:
    """Matrix A of the LoRA: for each block a row with ones in its columns, then the same again."""
    half, index = _half_rank(blocks), np.arange(blocks)
    rows = np.empty((2 * half, blocks, _Q4_0_BYTES), np.uint8)
    rows[:, :, :2] = np.array([1], "<f2").view(np.uint8)
    rows[:, :, 2:] = _ZEROS
    rows[index, index, 2:] = rows[half + index, index, 2:] = _ONES
    return rows


def _quantize(numbers: Numbers) -> tuple[Bytes, Numbers]:
    """Quantizes numbers of shape (rows, columns) to Q8_0.

    As in llama.cpp, the scale is the maximum absolute value of a block divided by 127. Unlike
    llama.cpp, numbers are divided by the scale after its rounding to float16, and the scale is the
    next larger float16 if the maximum would exceed 127.5 scales. So no error is larger than half a
    scale.

    Returns:
        The blocks of shape (rows, blocks per row, 34), and the dequantized numbers.
    """
    groups = numbers.reshape(len(numbers), -1, _BLOCK)
    maxima = np.abs(groups).max(axis=2)
    scales = (maxima / _MAX_Q8_0).astype("<f2")
    is_short = scales.astype(np.float32) * (_MAX_Q8_0 + 0.5) < maxima
    scales = np.where(is_short, np.nextafter(scales, np.float16(np.inf)), scales)[:, :, None]
    steps = scales.astype(np.float32)
    counts = np.rint(groups / np.where(steps > 0, steps, 1)).clip(-_MAX_Q8_0, _MAX_Q8_0)
    blocks = np.concatenate([scales.view(np.uint8), counts.astype(np.int8).view(np.uint8)], axis=2)
    return blocks, (counts * steps).reshape(numbers.shape)
