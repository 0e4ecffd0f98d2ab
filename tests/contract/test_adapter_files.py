"""Adapter files that could harm a server: each is rejected with a reason."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.contract.conftest import Endpoint
from tests.support.gguf_edit import GgufDraft, TensorInfo, number

PATH = "/dedicated/v1/adapters"

Write = Callable[[Path, GgufDraft], object]


@pytest.fixture
def case_path(loras: list[Path]) -> Iterator[Path]:
    """Yields a path in the adapters' folder, which is removed after the test."""
    path = loras[0].parent / "case.gguf"
    yield path
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def without_adapter_type(path: Path, _draft: GgufDraft) -> None:
    path.write_bytes(GgufDraft([number("general.type", 4, 1)], [], b"").header()[:52])


def of_type(type: int) -> Write:
    def write(path: Path, draft: GgufDraft) -> None:
        draft.tensors[-1].type = type
        draft.write(path)

    return write


def of_three_dimensions(path: Path, draft: GgufDraft) -> None:
    for tensor in draft.tensors:
        tensor.shape.append(1)
    draft.write(path)


def of_embeddings(path: Path, draft: GgufDraft) -> None:
    draft.tensors = [
        TensorInfo("token_embd.weight.lora_a", [4, 49152], 0, 0),
        TensorInfo("token_embd.weight.lora_b", [4, 576], 0, 49152 * 16),
    ]
    draft.data = bytes((49152 + 576) * 16)
    draft.write(path)


def not_finite(path: Path, draft: GgufDraft) -> None:
    draft.data = np.full(len(draft.data) // 4, np.nan, "<f4").tobytes()
    draft.write(path)


def cut_short(path: Path, draft: GgufDraft) -> None:
    path.write_bytes((draft.header() + draft.data)[:-1])


FILES: dict[str, tuple[Write, str]] = {
    "a key of another type": (without_adapter_type, "general.type is not 'adapter'"),
    **{f"type {type}": (of_type(type), "has type") for type in (9, 15, 24, 25, 26, 27, 28)},
    "three dimensions": (of_three_dimensions, "is not a matrix"),
    "embeddings": (of_embeddings, "is also the output matrix"),
    "not finite": (not_finite, "produces logits that are not finite"),
    "cut short": (cut_short, "it ends before"),
    "a FIFO": (lambda path, _: os.mkfifo(path), "it is not a regular file"),
    "a directory": (lambda path, _: path.mkdir(), "Is a directory"),
    "a dangling link": (lambda path, _: path.symlink_to("absent"), "No such file"),
    "a link to itself": (lambda path, _: path.symlink_to(path.name), "cannot read case.gguf"),
    "an empty file": (lambda path, _: path.touch(), "it is truncated"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", FILES)
def test_a_harmful_file_is_rejected_with_a_reason(
    name: str, endpoint: Endpoint, loras: list[Path], case_path: Path
) -> None:
    write, reason = FILES[name]
    write(case_path, GgufDraft.read(loras[1]))
    rejected = endpoint.send(PATH, {"route": "case", "file": case_path.name})
    error = rejected.error()
    assert (rejected.status, error["param"], error["code"]) == (400, "file", "adapter_refused")
    assert reason in error["message"] and str(case_path.parent) not in error["message"]
    assert endpoint.complete(max_tokens=1)["choices"]


@pytest.mark.timeout(60)
def test_a_link_out_of_the_folder_is_rejected(endpoint: Endpoint, case_path: Path) -> None:
    case_path.symlink_to("/dev/zero")
    rejected = endpoint.send(PATH, {"route": "case", "file": case_path.name})
    assert (rejected.status, rejected.error()["code"]) == (400, "not_allowed")


def test_a_loaded_adapter_works_for_several_choices_after_its_file_is_deleted(
    endpoint: Endpoint, loras: list[Path], case_path: Path
) -> None:
    GgufDraft.read(loras[1]).write(case_path)
    assert endpoint.send(PATH, {"route": "case", "file": case_path.name}).status == 201
    case_path.unlink()
    answer = endpoint.complete(
        content="A prompt of some words, " * 8, model="m:case", n=3, max_tokens=4
    )
    assert len(answer["choices"]) == 3
    assert endpoint.send(f"{PATH}/case", None, "DELETE").status == 200
