"""Files are written as other readers read them, one tensor after the other."""

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
    number_pair,
    text_pair,
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


def test_another_reader_finds_every_key_and_tensor(tmp_path: Path) -> None:
    pairs = text_pair("general.architecture", "größer") + number_pair("a.scale", 0.5)
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
def test_tensors_are_padded_to_the_alignment_that_the_keys_say(
    alignment: int, tmp_path: Path
) -> None:
    path = tmp_path / "m.gguf"
    said = number("general.alignment", U32, alignment)
    key = text_pair("general.alignment", "")[: 8 + len("general.alignment")]
    pairs = key + said.kind.to_bytes(4, "little") + said.value
    write_gguf(path, 1, pairs, TENSORS, alignment)
    header = read_header(path)
    check_layout(header)
    assert header.alignment == alignment
    assert header.size % alignment == header.data % alignment == 0
    content = path.read_bytes()
    for written, read in zip(TENSORS, header.tensors, strict=True):
        assert content[read.offset : read.offset + written.nbytes] == written.data().tobytes()


def test_a_file_may_have_no_tensors_and_no_keys(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", 0, b"", [])
    header = read_header(tmp_path / "m.gguf")
    assert (header.keys, header.tensors, header.metadata) == (0, (), {})


def test_a_file_that_is_there_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(bytes(1 << 16))
    write_gguf(path, 0, b"", TENSORS[:1])
    assert path.stat().st_size < 1 << 10
    check_layout(read_header(path))


def test_data_are_made_when_their_turn_has_come_and_not_before(tmp_path: Path) -> None:
    path, sizes = tmp_path / "m.gguf", list[int]()

    def made(data: bytes) -> Callable[[], Bytes]:
        def make() -> Bytes:
            sizes.append(len(data))
            return np.frombuffer(data, np.uint8)

        return make

    tensors = [NewTensor(str(n), (n,), "F32", 4 * n, made(bytes(4 * n))) for n in (3, 1, 2)]
    write_gguf(path, 0, b"", tensors)
    assert sizes == [12, 4, 8]


@pytest.mark.parametrize("length", [0, 11, 13])
def test_data_of_another_length_than_was_said_are_refused(length: int, tmp_path: Path) -> None:
    wrong = NewTensor("wrong", (3,), "F32", 12, lambda: np.zeros(length, np.uint8))
    with pytest.raises(ValueError, match="wrong is not of 12 bytes"):
        write_gguf(tmp_path / "m.gguf", 0, b"", [*TENSORS, wrong])


def test_a_number_is_kept_in_single_precision(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", 1, number_pair("a", 0.1), [])
    header = read_header(tmp_path / "m.gguf")
    assert header.kinds == {"a": F32}
    assert header.metadata["a"] == float(np.float32(0.1))


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_gguf(tmp_path / "none" / "m.gguf", 0, b"", [])
