"""What model files say of themselves, and files that are not what they say."""

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.llama.engine import locate
from friendli_endpoint.engine.llama.gguf.model_file import read_model_file
from friendli_endpoint.engine.llama.gguf.reading import GgufError, read_header
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel
from tests.support.gguf_edit import GgufDraft, Pair, text


def write(path: Path, architecture: str = "llama", **keys: Any) -> Path:
    """Writes a file of these keys, without tensors; `__` in a name is a dot."""
    writer = GGUFWriter(path, architecture)
    for name, value in keys.items():
        kind = GGUFValueType.UINT32 if isinstance(value, int) else GGUFValueType.get_type(value)
        writer.add_key_value(name.replace("__", "."), value, kind)
    writer.add_array("tokenizer.ggml.tokens", ["one", "two", "ü"])
    writer.add_array("tokenizer.ggml.scores", [0.5] * 2000)
    writer.add_uint32("general.quantization_version", 2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


SHAPE: dict[str, Any] = {
    "llama__block_count": 4,
    "llama__embedding_length": 64,
    "llama__attention__head_count": 8,
    "llama__context_length": 2048,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("gguf") / "m.gguf", **SHAPE).read_bytes()


@pytest.mark.model
def test_the_embedded_model_says_what_llama_cpp_reads() -> None:
    path = locate(None)
    file = read_model_file(path)
    model = LlamaModel(load(find_library()), path)
    assert file.architecture == model.metadata("general.architecture")
    assert (file.quantisation, file.size) == ("Q4_1", path.stat().st_size)
    assert file.context == model.train_context
    assert file.kv_bytes_per_token == model.kv_bytes_per_token


@pytest.mark.parametrize(
    ("keys", "kv_bytes_per_token"),
    [
        ({}, 2 * 4 * 8 * (8 + 8)),
        ({"llama__attention__head_count_kv": 2}, 2 * 4 * 2 * (8 + 8)),
        ({"llama__attention__head_count_kv": [2, 0, 2, 0]}, 2 * 4 * (8 + 8)),
        (
            {"llama__attention__key_length": 16, "llama__attention__value_length": 4},
            2 * 4 * 8 * (16 + 4),
        ),
        ({"llama__attention__head_count": [8, 0, 4, 8]}, 2 * 20 * (8 + 8)),
        (
            {
                "llama__attention__head_count_kv": [2, 2, 1, 2],
                "llama__attention__sliding_window_pattern": [True, True, False, True],
                "llama__attention__key_length_swa": 4,
                "llama__attention__value_length": 6,
            },
            2 * (2 + 2 + 2) * (4 + 6) + 2 * (8 + 6),
        ),
        ({"llama__attention__shared_kv_layers": 3}, 2 * 8 * (8 + 8)),
        ({"llama__attention__sliding_window_pattern": 6}, 2 * 4 * 8 * (8 + 8)),
    ],
)
def test_the_cache_of_a_token_is_told_from_the_shape(
    keys: dict[str, Any], kv_bytes_per_token: int, tmp_path: Path
) -> None:
    file = read_model_file(write(tmp_path / "m.gguf", **{**SHAPE, **keys}))
    assert file.kv_bytes_per_token == kv_bytes_per_token
    assert (file.context, file.quantisation) == (2048, None)


@pytest.mark.parametrize(("number", "name"), [(0, "F32"), (15, "Q4_K_M"), (9999, None)])
def test_the_quantisation_has_its_name(number: int, name: str | None, tmp_path: Path) -> None:
    file = read_model_file(write(tmp_path / "m.gguf", general__file_type=number))
    assert file.quantisation == name
    assert (file.context, file.kv_bytes_per_token) == (None, None)


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


@given(place=st.integers(0, 600), byte=st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
    try:
        assert read_model_file(path).size == len(whole)
    except GgufError as error:
        assert str(path) in str(error)


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


@pytest.mark.parametrize(
    "keys",
    [
        {"llama__attention__head_count": [-1, 0, 0, 0]},
        {"llama__attention__head_count": [float("nan")] * 4},
        {"llama__attention__head_count": 0},
        {"llama__block_count": 4_000_000_000},
        {"llama__embedding_length": "wide"},
    ],
)
def test_sizes_that_cannot_be_leave_the_cache_unknown(keys: dict[str, Any], tmp_path: Path) -> None:
    file = read_model_file(write(tmp_path / "m.gguf", **{**SHAPE, **keys}))
    assert file.kv_bytes_per_token is None


@pytest.mark.parametrize("content", [b"", b"GGUF", b"<html>", b"GGUF\x01\x00\x00\x00" + bytes(16)])
def test_what_is_not_such_a_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(GgufError, match="not a GGUF file"):
        read_header(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GgufError, match="cannot read"):
        read_header(tmp_path / "none.gguf")
