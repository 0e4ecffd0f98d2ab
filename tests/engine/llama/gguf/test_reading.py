"""What stands before the tensors of a file, and files that are not what they say."""

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


def test_long_lists_and_texts_of_the_tokenizer_are_passed_over(
    whole: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(whole)
    metadata = read_header(path).metadata
    assert metadata["general.quantization_version"] == 2
    assert not any(key.startswith("tokenizer.") for key in metadata)


@pytest.mark.model
def test_it_is_told_where_tensors_and_keys_are() -> None:
    path = locate(None)
    header, reader = read_header(path), GGUFReader(path)
    assert header.keys == reader.fields["GGUF.kv_count"].contents()
    assert (header.pairs.start, header.alignment) == (24, reader.alignment)
    for told, read in zip(header.tensors, reader.tensors, strict=True):
        assert (told.name, told.type) == (read.name, read.tensor_type.name)
        assert told.shape == tuple(read.shape.tolist())
        assert (told.offset, told.nbytes) == (read.data_offset, read.n_bytes)


@pytest.mark.parametrize("alignment", [8, 256])
def test_another_alignment_moves_the_tensors(alignment: int, tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_custom_alignment(alignment)
    writer.add_tensor("one", np.ones(5, np.float32))
    writer.add_tensor("two", np.ones(5, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = read_header(tmp_path / "m.gguf")
    read = GGUFReader(tmp_path / "m.gguf").tensors
    assert header.alignment == alignment
    assert [tensor.offset for tensor in header.tensors] == [tensor.data_offset for tensor in read]


@pytest.mark.parametrize("alignment", [0, 48])
def test_an_alignment_that_is_not_a_power_of_two_is_refused(alignment: int, tmp_path: Path) -> None:
    with pytest.raises(GgufError, match="alignment"):
        read_header(write(tmp_path / "m.gguf", general__alignment=alignment))


def test_a_file_that_ends_early_is_refused_wherever_it_ends(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    for length in range(len(whole) - 1):
        if length < 700 or length % 500 == 0:
            path.write_bytes(whole[:length])
            with pytest.raises(GgufError, match=r"m\.gguf"):
                read_header(path)


def test_a_key_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    draft = GgufDraft([text("a", "b"), text("a", "c")], [], b"")
    with pytest.raises(GgufError, match="the key a twice"):
        read_header(draft.write(tmp_path / "m.gguf"))


def test_a_list_of_lists_is_refused(tmp_path: Path) -> None:
    inner = struct.pack("<IQIQB", 9, 1, 0, 1, 7)
    draft = GgufDraft([Pair("a", 9, inner)], [], b"")
    with pytest.raises(GgufError, match="list of lists"):
        read_header(draft.write(tmp_path / "m.gguf"))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("count", [1 << 20, 1 << 40, 1 << 63, (1 << 64) - 1])
def test_absurd_counts_are_refused_without_counting(count: int, tmp_path: Path) -> None:
    """The file could hold as many: it is large, and all of it is zeros that take no space."""
    path = tmp_path / "m.gguf"
    for draft in (
        GgufDraft([], [], b"", num_tensors=count),
        GgufDraft([], [], b"", num_keys=count),
    ):
        draft.write(path)
        os.truncate(path, 1 << 40)
        with pytest.raises(GgufError, match="announces"):
            read_header(path)
    listed = Pair("a", 9, struct.pack("<IQ", 8, count))
    GgufDraft([listed], [], b"").write(path)
    os.truncate(path, 1 << 40)
    if count > 1 << 23:  # fewer empty texts are passed over
        with pytest.raises(GgufError, match=r"header is larger|ends too early"):
            read_header(path)
    GgufDraft([Pair("a", 8, struct.pack("<Q", count))], [], b"").write(path)
    with pytest.raises(GgufError, match="ends too early"):
        read_header(path)


def test_a_file_of_the_other_byte_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GgufError, match="of version 50331648"):
        read_header(GgufDraft([], [], b"", version=3 << 24).write(tmp_path / "m.gguf"))


@pytest.mark.parametrize("content", [b"", b"GGUF", b"<html>", b"GGUF\x01\x00\x00\x00" + bytes(16)])
def test_what_is_not_such_a_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(GgufError, match="not a GGUF file"):
        read_header(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GgufError, match="cannot read"):
        read_header(tmp_path / "none.gguf")


U8, I8, U16, I16, U32, I32, F32, BOOL, U64, I64, F64 = 0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12


def test_numbers_of_every_type_are_read_with_their_kinds(tmp_path: Path) -> None:
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
    pairs = [number(f"key.{kind}", kind, value) for kind, value in values.items()]
    header = read_header(GgufDraft(pairs, [], b"").write(tmp_path / "m.gguf"))
    assert header.metadata == {f"key.{kind}": value for kind, value in values.items()}
    assert header.kinds == {f"key.{kind}": kind for kind in values}
    assert header.metadata["key.7"] is True


def test_short_lists_of_numbers_are_kept_and_long_ones_are_only_known_by_kind(
    tmp_path: Path,
) -> None:
    pairs = [
        Pair(f"list.{count}", 9, struct.pack(f"<IQ{count}h", I16, count, *[-7] * count))
        for count in (0, 3, 1024, 1025)
    ]
    header = read_header(
        GgufDraft([*pairs, texts("texts", "a", "é"), text("last", "ü")], [], b"").write(
            tmp_path / "m.gguf"
        )
    )
    kept = {f"list.{count}": [-7] * count for count in (0, 3, 1024)}
    assert header.metadata == {**kept, "last": "ü"}
    assert header.kinds == {**dict.fromkeys([*kept, "list.1025", "texts"], 9), "last": 8}
    assert header.keys == 6


@pytest.mark.parametrize("kind", [13, 255, 2**32 - 1])
def test_a_type_of_values_that_there_is_not_is_refused(kind: int, tmp_path: Path) -> None:
    alone, listed = Pair("a", kind, b""), Pair("a", 9, struct.pack("<IQ", kind, 1))
    for pair in (alone, listed):
        path = GgufDraft([pair], [], bytes(64)).write(tmp_path / "m.gguf")
        with pytest.raises(GgufError, match=f"a value of type {kind}, which there is not"):
            read_header(path)


def test_letters_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    value = struct.pack("<Q", 2) + b"\xff\xfe"
    header = read_header(GgufDraft([Pair("a", 8, value)], [], b"").write(tmp_path / "m.gguf"))
    assert header.metadata == {"a": "\ufffd\ufffd"}


def test_tensors_are_read_with_shapes_and_types_and_places(tmp_path: Path) -> None:
    tensors = [TensorInfo("a", [32, 3], 2, 0), TensorInfo("ü", [1, 2, 3, 4], 77, 64)]
    path = GgufDraft([text("k", "v")], tensors, bytes(96)).write(tmp_path / "m.gguf")
    header = read_header(path)
    first, second = header.tensors
    assert (first.name, first.shape, first.type, first.nbytes) == ("a", (32, 3), "Q4_0", 54)
    assert (second.name, second.dimensions, second.type, second.nbytes) == ("ü", 4, "77", None)
    assert header.size == header.data + 96 == path.stat().st_size
    assert (first.offset, second.offset) == (header.data, header.data + 64)


@pytest.mark.parametrize("shape", [[], [1] * 5])
def test_a_tensor_has_one_to_four_dimensions(shape: list[int], tmp_path: Path) -> None:
    path = GgufDraft([], [TensorInfo("a", shape, 0, 0)], bytes(4)).write(tmp_path / "m.gguf")
    with pytest.raises(GgufError, match=f"a tensor of {len(shape)} dimensions"):
        read_header(path)


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    tensors = [TensorInfo("a", [1], 0, 0), TensorInfo("a", [1], 0, 32)]
    with pytest.raises(GgufError, match="two tensors of one name"):
        read_header(GgufDraft([], tensors, bytes(64)).write(tmp_path / "m.gguf"))


def test_an_alignment_that_is_a_number_of_another_type_is_refused(tmp_path: Path) -> None:
    for pair in (number("general.alignment", U64, 64), text("general.alignment", "64")):
        with pytest.raises(GgufError, match="alignment"):
            read_header(GgufDraft([pair], [], b"").write(tmp_path / "m.gguf"))


@pytest.mark.parametrize("version", [2, 3])
def test_both_versions_are_read(version: int, tmp_path: Path) -> None:
    path = GgufDraft([text("a", "b")], [], b"", version=version).write(tmp_path / "m.gguf")
    assert read_header(path).metadata == {"a": "b"}


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(GgufError, match=str(path)):
            read_header(path)
