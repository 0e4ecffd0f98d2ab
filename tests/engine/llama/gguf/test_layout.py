"""Validation of the offsets and sizes of tensors."""

from pathlib import Path

import pytest

from friendli_endpoint.engine.llama.gguf.layout import LayoutError, check_layout
from friendli_endpoint.engine.llama.gguf.reading import read_header
from friendli_endpoint.engine.llama.model import find_embedded_model
from tests.support.gguf_edit import GgufDraft, TensorInfo

F32, Q8_0 = 0, 8


def reason(tmp_path: Path, *tensors: TensorInfo, data: int = 1 << 12) -> str:
    """Returns the error message for a file with these tensors; empty if it is valid."""
    path = GgufDraft([], list(tensors), bytes(data)).write(tmp_path / "m.gguf")
    try:
        check_layout(read_header(path))
    except LayoutError as error:
        return str(error)
    return ""


def test_the_embedded_model_is_valid() -> None:
    check_layout(read_header(find_embedded_model()))


def test_all_tensors_but_the_last_are_padded(tmp_path: Path) -> None:
    tensors = TensorInfo("a", [1], F32, 0), TensorInfo("b", [9], F32, 32)
    assert reason(tmp_path, *tensors, data=68) == ""
    assert reason(tmp_path, *tensors, data=67) == "it ends before the data of b"


@pytest.mark.parametrize("offset", [0, 31, 33, 64, 1 << 63])
def test_gaps_and_overlaps_are_an_error(offset: int, tmp_path: Path) -> None:
    message = reason(tmp_path, TensorInfo("a", [1], F32, 0), TensorInfo("b", [9], F32, offset))
    assert message.startswith("b begins at byte ")


@pytest.mark.parametrize(
    ("shape", "type", "message"),
    [
        ([0], F32, "a is empty (0)"),
        ([4, 0, 3], F32, "a is empty (4 x 0 x 3)"),
        ([48], Q8_0, "a (48) is not divisible into blocks of Q8_0"),
        ([32], 9, "a has the unsupported type 9"),
        ([1 << 63, 1 << 63], F32, "it ends before the data of a"),
    ],
)
def test_invalid_sizes_and_types_are_an_error(
    shape: list[int], type: int, message: str, tmp_path: Path
) -> None:
    assert reason(tmp_path, TensorInfo("a", shape, type, 0)) == message
