"""Adapter files that harm a server that opens them: each is refused with its reason."""

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
def place(loras: list[Path]) -> Iterator[Path]:
    """Where a test may put a file in the adapters' folder."""
    path = loras[0].parent / "case.gguf"
    yield path
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def smallest(path: Path, _draft: GgufDraft) -> None:
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
    "a key of another type": (smallest, "general.type is not 'adapter'"),
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
def test_a_file_that_harms_is_refused_with_the_reason(
    name: str, endpoint: Endpoint, loras: list[Path], place: Path
) -> None:
    write, reason = FILES[name]
    write(place, GgufDraft.read(loras[1]))
    refused = endpoint.send(PATH, {"route": "case", "file": place.name})
    error = refused.error()
    assert (refused.status, error["param"], error["code"]) == (400, "file", "adapter_refused")
    assert reason in error["message"] and str(place.parent) not in error["message"]
    assert endpoint.whole(max_tokens=1)["choices"]


@pytest.mark.timeout(60)
def test_a_link_to_a_device_leads_out_of_the_folder(endpoint: Endpoint, place: Path) -> None:
    place.symlink_to("/dev/zero")
    refused = endpoint.send(PATH, {"route": "case", "file": place.name})
    assert (refused.status, refused.error()["code"]) == (400, "not_allowed")


def test_an_adapter_that_was_taken_works_at_once_for_several_choices(
    endpoint: Endpoint, loras: list[Path], place: Path
) -> None:
    GgufDraft.read(loras[1]).write(place)
    assert endpoint.send(PATH, {"route": "case", "file": place.name}).status == 201
    place.unlink()
    answer = endpoint.whole(
        content="A prompt of some words, " * 8, model="m:case", n=3, max_tokens=4
    )
    assert len(answer["choices"]) == 3
    assert endpoint.send(f"{PATH}/case", None, "DELETE").status == 200
