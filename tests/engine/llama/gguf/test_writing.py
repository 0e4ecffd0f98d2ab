"""Written GGUF files, read by this package and by the gguf package."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from friendli_endpoint.engine.llama.gguf.layout import check_layout
from friendli_endpoint.engine.llama.gguf.reading import read_header
from friendli_endpoint.engine.llama.gguf.writing import (
    Bytes,
    NewTensor,
    float_pair,
    string_pair,
    write_gguf,
)
from tests.support.gguf_edit import number

U32, F32 = 4, 6


def tensor(name: str, shape: tuple[int, ...], type: str, data: bytes) -> NewTensor:
    return NewTensor(name, shape, type, len(data), lambda: np.frombuffer(data, np.uint8))


TENSORS = [
    tensor("größe", (3,), "F32", np.arange(3, dtype="<f4").tobytes()),
    tensor("one", (32, 2), "Q8_0", bytes(range(68))),
    tensor("two", (1, 1, 2, 1), "F16", b"abcd"),
]


def test_the_gguf_package_reads_every_key_and_tensor(tmp_path: Path) -> None:
    pairs = string_pair("general.architecture", "größer") + float_pair("a.scale", 0.5)
    write_gguf(tmp_path / "m.gguf", 2, pairs, TENSORS)
    reader = GGUFReader(tmp_path / "m.gguf")
    assert reader.fields["GGUF.version"].contents() == 3
    assert reader.fields["general.architecture"].contents() == "größer"
    assert reader.fields["a.scale"].contents() == 0.5
    for written, read in zip(TENSORS, reader.tensors, strict=True):
        assert (read.name, read.tensor_type.name) == (written.name, written.type)
        assert tuple(read.shape.tolist()) == written.shape
        assert read.data.tobytes() == written.data().tobytes()


@pytest.mark.parametrize("alignment", [8, 32, 256])
def test_tensors_are_padded_to_the_alignment(alignment: int, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    pair = number("general.alignment", U32, alignment)
    key = string_pair("general.alignment", "")[: 8 + len("general.alignment")]
    pairs = key + pair.kind.to_bytes(4, "little") + pair.value
    write_gguf(path, 1, pairs, TENSORS, alignment)
    header = read_header(path)
    check_layout(header)
    assert header.alignment == alignment
    assert header.size % alignment == header.data_start % alignment == 0
    content = path.read_bytes()
    for written, read in zip(TENSORS, header.tensors, strict=True):
        assert content[read.offset : read.offset + written.nbytes] == written.data().tobytes()


def test_a_file_may_have_no_tensors_and_no_keys(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", 0, b"", [])
    header = read_header(tmp_path / "m.gguf")
    assert (header.num_keys, header.tensors, header.metadata) == (0, (), {})


def test_an_existing_file_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(bytes(1 << 16))
    write_gguf(path, 0, b"", TENSORS[:1])
    assert path.stat().st_size < 1 << 10
    check_layout(read_header(path))


def test_the_data_of_a_tensor_are_made_when_it_is_written(tmp_path: Path) -> None:
    path, sizes = tmp_path / "m.gguf", list[int]()

    def recorded(data: bytes) -> Callable[[], Bytes]:
        def make() -> Bytes:
            sizes.append(len(data))
            return np.frombuffer(data, np.uint8)

        return make

    tensors = [NewTensor(str(n), (n,), "F32", 4 * n, recorded(bytes(4 * n))) for n in (3, 1, 2)]
    write_gguf(path, 0, b"", tensors)
    assert sizes == [12, 4, 8]


@pytest.mark.parametrize("length", [0, 11, 13])
def test_data_of_another_length_than_nbytes_are_an_error(length: int, tmp_path: Path) -> None:
    wrong = NewTensor("wrong", (3,), "F32", 12, lambda: np.zeros(length, np.uint8))
    with pytest.raises(ValueError, match="the data of wrong do not have 12 bytes"):
        write_gguf(tmp_path / "m.gguf", 0, b"", [*TENSORS, wrong])


def test_a_float_is_written_in_single_precision(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", 1, float_pair("a", 0.1), [])
    header = read_header(tmp_path / "m.gguf")
    assert header.value_types == {"a": F32}
    assert header.metadata["a"] == float(np.float32(0.1))


def test_a_missing_folder_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_gguf(tmp_path / "none" / "m.gguf", 0, b"", [])
