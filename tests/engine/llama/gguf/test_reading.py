"""Headers of GGUF files, and files that are invalid or damaged."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter

from friendli_endpoint.engine.llama.engine import locate
from friendli_endpoint.engine.llama.gguf.reading import GgufError, read_header
from tests.engine.llama.gguf.headers import write
from tests.support.gguf_edit import GgufDraft, Pair, TensorInfo, number, text, texts


def test_long_arrays_and_strings_of_the_tokenizer_are_skipped(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(whole)
    metadata = read_header(path).metadata
    assert metadata["general.quantization_version"] == 2
    assert not any(key.startswith("tokenizer.") for key in metadata)


@pytest.mark.model
def test_tensors_and_keys_are_where_the_gguf_package_finds_them() -> None:
    path = locate(None)
    header, reader = read_header(path), GGUFReader(path)
    assert header.num_keys == reader.fields["GGUF.kv_count"].contents()
    assert (header.pairs.start, header.alignment) == (24, reader.alignment)
    for tensor, expected in zip(header.tensors, reader.tensors, strict=True):
        assert (tensor.name, tensor.type) == (expected.name, expected.tensor_type.name)
        assert tensor.shape == tuple(expected.shape.tolist())
        assert (tensor.offset, tensor.nbytes) == (expected.data_offset, expected.n_bytes)


@pytest.mark.parametrize("alignment", [8, 256])
def test_the_alignment_determines_the_offsets_of_tensors(alignment: int, tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_custom_alignment(alignment)
    writer.add_tensor("one", np.ones(5, np.float32))
    writer.add_tensor("two", np.ones(5, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = read_header(tmp_path / "m.gguf")
    expected = GGUFReader(tmp_path / "m.gguf").tensors
    assert header.alignment == alignment
    assert [tensor.offset for tensor in header.tensors] == [
        tensor.data_offset for tensor in expected
    ]


@pytest.mark.parametrize("alignment", [0, 48])
def test_an_alignment_that_is_not_a_power_of_two_is_an_error(
    alignment: int, tmp_path: Path
) -> None:
    with pytest.raises(GgufError, match="alignment"):
        read_header(write(tmp_path / "m.gguf", general__alignment=alignment))


def test_a_truncated_file_is_an_error_wherever_it_ends(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    for length in range(len(whole) - 1):
        if length < 700 or length % 500 == 0:
            path.write_bytes(whole[:length])
            with pytest.raises(GgufError, match=r"m\.gguf"):
                read_header(path)


def test_a_repeated_key_is_an_error(tmp_path: Path) -> None:
    draft = GgufDraft([text("a", "b"), text("a", "c")], [], b"")
    with pytest.raises(GgufError, match="the key a twice"):
        read_header(draft.write(tmp_path / "m.gguf"))


def test_an_array_of_arrays_is_an_error(tmp_path: Path) -> None:
    inner = struct.pack("<IQIQB", 9, 1, 0, 1, 7)
    draft = GgufDraft([Pair("a", 9, inner)], [], b"")
    with pytest.raises(GgufError, match="array of arrays"):
        read_header(draft.write(tmp_path / "m.gguf"))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("count", [1 << 20, 1 << 40, 1 << 63, (1 << 64) - 1])
def test_absurd_counts_are_an_error_without_iterating(count: int, tmp_path: Path) -> None:
    """The file is large enough for the counts: a sparse file of zeros."""
    path = tmp_path / "m.gguf"
    for draft in (
        GgufDraft([], [], b"", num_tensors=count),
        GgufDraft([], [], b"", num_keys=count),
    ):
        draft.write(path)
        os.truncate(path, 1 << 40)
        with pytest.raises(GgufError, match="declares"):
            read_header(path)
    array = Pair("a", 9, struct.pack("<IQ", 8, count))
    GgufDraft([array], [], b"").write(path)
    os.truncate(path, 1 << 40)
    if count > 1 << 23:  # fewer empty strings are skipped
        with pytest.raises(GgufError, match=r"header is larger|is truncated"):
            read_header(path)
    GgufDraft([Pair("a", 8, struct.pack("<Q", count))], [], b"").write(path)
    with pytest.raises(GgufError, match="is truncated"):
        read_header(path)


def test_a_big_endian_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GgufError, match="the unsupported version 50331648"):
        read_header(GgufDraft([], [], b"", version=3 << 24).write(tmp_path / "m.gguf"))


@pytest.mark.parametrize("content", [b"", b"GGUF", b"<html>", b"GGUF\x01\x00\x00\x00" + bytes(16)])
def test_a_file_that_is_not_gguf_is_an_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(GgufError, match="not a GGUF file"):
        read_header(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GgufError, match="cannot read"):
        read_header(tmp_path / "none.gguf")


U8, I8, U16, I16, U32, I32, F32, BOOL, U64, I64, F64 = 0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12


def test_numbers_of_every_type_are_read_with_their_value_types(tmp_path: Path) -> None:
    values: dict[int, float] = {
        U8: 255,
        I8: -128,
        U16: 65_535,
        I16: -32_768,
        U32: 2**32 - 1,
        I32: -(2**31),
        F32: 0.5,
        BOOL: True,
        U64: 2**64 - 1,
        I64: -(2**63),
        F64: 0.1,
    }
    pairs = [number(f"key.{value_type}", value_type, value) for value_type, value in values.items()]
    header = read_header(GgufDraft(pairs, [], b"").write(tmp_path / "m.gguf"))
    assert header.metadata == {f"key.{value_type}": value for value_type, value in values.items()}
    assert header.value_types == {f"key.{value_type}": value_type for value_type in values}
    assert header.metadata["key.7"] is True


def test_long_arrays_have_a_value_type_and_no_value(
    tmp_path: Path,
) -> None:
    pairs = [
        Pair(f"array.{count}", 9, struct.pack(f"<IQ{count}h", I16, count, *[-7] * count))
        for count in (0, 3, 1024, 1025)
    ]
    header = read_header(
        GgufDraft([*pairs, texts("texts", "a", "é"), text("last", "ü")], [], b"").write(
            tmp_path / "m.gguf"
        )
    )
    kept = {f"array.{count}": [-7] * count for count in (0, 3, 1024)}
    assert header.metadata == {**kept, "last": "ü"}
    assert header.value_types == {**dict.fromkeys([*kept, "array.1025", "texts"], 9), "last": 8}
    assert header.num_keys == 6


@pytest.mark.parametrize("value_type", [13, 255, 2**32 - 1])
def test_an_unknown_value_type_is_an_error(value_type: int, tmp_path: Path) -> None:
    scalar, array = Pair("a", value_type, b""), Pair("a", 9, struct.pack("<IQ", value_type, 1))
    for pair in (scalar, array):
        path = GgufDraft([pair], [], bytes(64)).write(tmp_path / "m.gguf")
        with pytest.raises(GgufError, match=f"a value of the unknown type {value_type}"):
            read_header(path)


def test_invalid_utf_8_is_replaced(tmp_path: Path) -> None:
    value = struct.pack("<Q", 2) + b"\xff\xfe"
    header = read_header(GgufDraft([Pair("a", 8, value)], [], b"").write(tmp_path / "m.gguf"))
    assert header.metadata == {"a": "\ufffd\ufffd"}


def test_tensors_are_read_with_shapes_types_and_offsets(tmp_path: Path) -> None:
    tensors = [TensorInfo("a", [32, 3], 2, 0), TensorInfo("ü", [1, 2, 3, 4], 77, 64)]
    path = GgufDraft([text("k", "v")], tensors, bytes(96)).write(tmp_path / "m.gguf")
    header = read_header(path)
    first, second = header.tensors
    assert (first.name, first.shape, first.type, first.nbytes) == ("a", (32, 3), "Q4_0", 54)
    assert (second.name, second.dimensions, second.type, second.nbytes) == ("ü", 4, "77", None)
    assert header.size == header.data_start + 96 == path.stat().st_size
    assert (first.offset, second.offset) == (header.data_start, header.data_start + 64)


@pytest.mark.parametrize("shape", [[], [1] * 5])
def test_a_tensor_without_one_to_four_dimensions_is_an_error(
    shape: list[int], tmp_path: Path
) -> None:
    path = GgufDraft([], [TensorInfo("a", shape, 0, 0)], bytes(4)).write(tmp_path / "m.gguf")
    with pytest.raises(GgufError, match=f"a tensor of {len(shape)} dimensions"):
        read_header(path)


def test_two_tensors_of_the_same_name_are_an_error(tmp_path: Path) -> None:
    tensors = [TensorInfo("a", [1], 0, 0), TensorInfo("a", [1], 0, 32)]
    with pytest.raises(GgufError, match="two tensors of the same name"):
        read_header(GgufDraft([], tensors, bytes(64)).write(tmp_path / "m.gguf"))


def test_an_alignment_that_is_not_a_uint32_is_an_error(tmp_path: Path) -> None:
    for pair in (number("general.alignment", U64, 64), text("general.alignment", "64")):
        with pytest.raises(GgufError, match="alignment"):
            read_header(GgufDraft([pair], [], b"").write(tmp_path / "m.gguf"))


@pytest.mark.parametrize("version", [2, 3])
def test_versions_2_and_3_are_read(version: int, tmp_path: Path) -> None:
    path = GgufDraft([text("a", "b")], [], b"", version=version).write(tmp_path / "m.gguf")
    assert read_header(path).metadata == {"a": "b"}


def test_a_file_that_is_not_regular_is_an_error_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(GgufError, match=str(path)):
            read_header(path)
