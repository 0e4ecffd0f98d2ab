"""Files of models whose Q4_1 matrices are split into Q4_0 and a LoRA."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, GGUFWriter, quants
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from friendli_endpoint.engine.llama.gguf.model_file import read_model_file
from friendli_endpoint.engine.llama.gguf.reading import Tensor, read_header
from friendli_endpoint.engine.llama.gguf.split import (
    MIN_WEIGHTS,
    SplitError,
    can_split,
    is_splittable,
    split,
)
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs
from tests.support.models.weights import Shape

LARGE = Shape(width=736, head=184, forward=512, type=Type.Q4_1)
MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")

Numbers = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def write(
    path: Path, data: Bytes, architecture: str = "llama", name: str = "blk.0.ffn_up", **keys: int
) -> Path:
    """Writes a file with one Q4_1 tensor; `__` in the name of a key stands for a dot."""
    writer = GGUFWriter(path, architecture)
    for key, value in keys.items():
        writer.add_uint16(key.replace("__", "."), value)
    writer.add_tensor(f"{name}.weight", data, raw_dtype=Type.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def random_blocks(rows: int, blocks: int, seed: int = 1, scale: float = 0.01) -> Bytes:
    """Makes rows of Q4_1 blocks with random q, and with d and m of about that scale."""
    random = np.random.default_rng(seed)
    blocks_ = random.integers(0, 256, (rows, blocks, 20), np.uint8)
    blocks_[:, :, :4] = random.normal(0, scale, (rows, blocks, 2)).astype("<f2").view(np.uint8)
    return blocks_.reshape(rows, -1)


def numbers(path: Path) -> dict[str, Numbers]:
    return {
        tensor.name: quants.dequantize(tensor.data, tensor.tensor_type)
        for tensor in GGUFReader(path).tensors
    }


@given(
    shape=st.sampled_from([(512, 16), (256, 32), (260, 33), (130, 64)]),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([1e-4, 1e-3, 1e-2, 1.0, 1e3]),
)
@settings(max_examples=30, deadline=None)
def test_the_split_matrices_add_up_to_the_source(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int], seed: int, scale: float
) -> None:
    folder = tmp_path_factory.mktemp("split")
    data = random_blocks(*shape, seed, scale)
    source = write(folder / "m.gguf", data)
    assert split(source, folder / "model.gguf", folder / "offsets.gguf")
    (model,) = numbers(folder / "model.gguf").values()
    first, second = numbers(folder / "offsets.gguf").values()
    assert set(np.unique(first)) == {0, 1}
    rows, blocks = shape
    scales = data.reshape(rows, blocks, 20)[:, :, :4].copy().view("<f2").astype(np.float64)
    offsets = np.zeros((rows, math.ceil(blocks / 32) * 32))
    offsets[:, :blocks] = scales[:, :, 1] + 8 * scales[:, :, 0]
    groups = np.abs(offsets).reshape(rows, -1, 32).max(axis=2)
    bound = np.repeat(groups, 32 * 32, axis=1)[:, : blocks * 32] * 2.0**-14 + 2.0**-25
    exact = quants.dequantize(data, Type.Q4_1).astype(np.float64)
    assert (np.abs(model + second.astype(np.float64) @ first - exact) <= bound).all()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("split") / "source.gguf"
    return write_byte_pairs(path, LLAMA, LARGE)


def test_splitting_changes_only_the_types_of_matrices(source: Path, tmp_path: Path) -> None:
    assert can_split(read_model_file(source))
    assert split(source, tmp_path / "model.gguf", tmp_path / "offsets.gguf")
    before, after = GGUFReader(source), GGUFReader(tmp_path / "model.gguf")
    for old, new in zip(before.tensors, after.tensors, strict=True):
        assert (new.name, new.shape.tolist()) == (old.name, old.shape.tolist())
        if old.tensor_type is Type.Q4_1:
            assert new.tensor_type is Type.Q4_0
        else:
            assert new.tensor_type is old.tensor_type
            assert new.data.tobytes() == old.data.tobytes()
    assert pairs(tmp_path / "model.gguf") == pairs(source)
    names = [tensor.name for tensor in before.tensors if tensor.tensor_type is Type.Q4_1]
    assert len(names) == 2 * len(MATRICES)
    offsets = [tensor.name for tensor in GGUFReader(tmp_path / "offsets.gguf").tensors]
    assert offsets == [f"{name}.lora_{suffix}" for name in names for suffix in "ab"]


def pairs(path: Path) -> tuple[int, bytes]:
    header = read_header(path)
    return header.num_keys, path.read_bytes()[header.pairs.start : header.pairs.stop]


def test_the_alignment_is_kept(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_custom_alignment(256)
    for name in ("token_embd", "blk.0.ffn_up", "blk.1.ffn_up"):
        writer.add_tensor(f"{name}.weight", random_blocks(513, 16), raw_dtype=Type.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert split(tmp_path / "m.gguf", tmp_path / "model.gguf", tmp_path / "offsets.gguf")
    before, after = numbers(tmp_path / "m.gguf"), numbers(tmp_path / "model.gguf")
    assert np.array_equal(before.pop("token_embd.weight"), after.pop("token_embd.weight"))
    for name in after:
        assert not np.array_equal(before[name], after[name])


@pytest.mark.parametrize("matrix", [*MATRICES, "attn_qkv"])
def test_large_matrices_of_layers_are_split(matrix: str) -> None:
    assert is_splittable(Tensor(f"blk.12.{matrix}.weight", (512, MIN_WEIGHTS // 512), "Q4_1"))


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor("blk.0.ffn_up.weight", (512, MIN_WEIGHTS // 512 - 1), "Q4_1"),
        Tensor("blk.0.ffn_up.weight", (512, 512, 4), "Q4_1"),
        Tensor("blk.0.ffn_up.weight", (1 << 20,), "Q4_1"),
        Tensor("blk.0.ffn_up.weight", (512, 512), "Q4_0"),
        Tensor("blk.0.ffn_up_exps.weight", (512, 512), "Q4_1"),
        Tensor("blk.0.ffn_up.weight.lora_a", (512, 512), "Q4_1"),
        Tensor("enc.blk.0.ffn_up.weight", (512, 512), "Q4_1"),
        Tensor("blk.0.ffn_up.bias", (512, 512), "Q4_1"),
        Tensor("token_embd.weight", (512, 512), "Q4_1"),
        Tensor("output.weight", (512, 512), "Q4_1"),
    ],
)
def test_other_tensors_are_not_split(tensor: Tensor) -> None:
    assert not is_splittable(tensor)


@pytest.mark.parametrize(
    "writer",
    [
        partial(write, data=random_blocks(511, 16)),
        partial(write, data=random_blocks(512, 16), name="output"),
        partial(write, data=random_blocks(512, 16), architecture="t5"),
        partial(write, data=random_blocks(512, 16), split__count=2),
    ],
    ids=["small", "output", "architecture", "several files"],
)
def test_nothing_is_written_if_nothing_is_split(
    writer: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = writer(tmp_path / "m.gguf")
    assert not split(path, tmp_path / "model.gguf", tmp_path / "offsets.gguf")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("scale", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("offset", [0, 2])
def test_a_matrix_with_scales_that_are_not_finite_is_not_split(
    scale: float, offset: int, tmp_path: Path
) -> None:
    data = random_blocks(512, 16)
    data[300, 20 + offset : 20 + offset + 2] = np.array([scale], "<f2").view(np.uint8)
    path = write(tmp_path / "m.gguf", data)
    assert not split(path, tmp_path / "model.gguf", tmp_path / "offsets.gguf")


def test_the_largest_float16_scales_can_be_split(tmp_path: Path) -> None:
    data = random_blocks(512, 16).reshape(512, 16, 20)
    data[:, :, :4] = np.array([65504, 65504], "<f2").view(np.uint8)
    path = write(tmp_path / "m.gguf", data.reshape(512, -1))
    assert split(path, tmp_path / "model.gguf", tmp_path / "offsets.gguf")
    assert all(np.isfinite(matrix).all() for matrix in numbers(tmp_path / "offsets.gguf").values())


def test_a_truncated_file_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", random_blocks(512, 16))
    whole = path.read_bytes()
    for length, reason in (
        (len(whole) - 100, "ends before the data of blk.0.ffn_up"),
        (50, "is truncated"),
    ):
        path.write_bytes(whole[:length])
        with pytest.raises(SplitError, match=rf"m\.gguf.*{reason}"):
            split(path, tmp_path / "model.gguf", tmp_path / "offsets.gguf")
        assert list(tmp_path.iterdir()) == [path]


def test_overlapping_tensors_are_an_error(source: Path, tmp_path: Path) -> None:
    header = read_header(source)
    start = header.tensors[0].offset
    second, third = (tensor.offset - start for tensor in header.tensors[1:3])
    path = tmp_path / "m.gguf"
    old, new = third.to_bytes(8, "little"), second.to_bytes(8, "little")
    path.write_bytes(source.read_bytes().replace(old, new, 1))
    with pytest.raises(SplitError, match="overlaps"):
        split(path, tmp_path / "model.gguf", tmp_path / "offsets.gguf")


def test_a_write_error_is_reported_and_leaves_no_file(source: Path, tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"cannot split .*source\.gguf: No such file"):
        split(source, tmp_path / "model.gguf", tmp_path / "none" / "offsets.gguf")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SplitError, match="cannot read"):
        split(tmp_path / "none.gguf", tmp_path / "model.gguf", tmp_path / "offsets.gguf")
