"""Serving a model with repacked weights."""

from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Type

from friendli_endpoint.generation import StartError
from tests.families.served import Served
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs
from tests.support.models.weights import Shape


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shape = Shape(width=256, head=64, forward=512, type=Type.Q4_1)
    return write_byte_pairs(tmp_path / "small.gguf", LLAMA, shape)


def logprobs(served: Served) -> object:
    return served.choice(seed=1, max_tokens=10, logprobs=True)["logprobs"]


def test_a_repacked_model_keeps_its_name(path: Path, tmp_path: Path) -> None:
    with Served(path) as plain:
        before = logprobs(plain)
    with Served(path, repack="q8_0") as repacked:
        assert repacked.name == "small"
        after = logprobs(repacked)
    assert after != before, "weights were rounded once more"
    (copy,) = tmp_path.glob("cache/friendli-endpoint/repacked/*/small.gguf")
    with Served(copy) as same:
        assert logprobs(same) == after


def test_a_repacked_copy_that_cannot_be_written_is_a_start_error(
    path: Path, tmp_path: Path
) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(StartError, match="cannot repack"), Served(path, repack="q8_0"):
        pass
