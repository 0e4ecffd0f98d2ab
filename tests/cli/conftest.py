"""Fixtures of the tests of commands."""

import os
from pathlib import Path

import pytest
from gguf import GGUFWriter

from friendli_endpoint.engine.llama.trials import Trials


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without settings."""
    for name in [name for name in os.environ if name.startswith("FRIENDLI_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model file of 16 KiB a token, without tensors and chat template; it is never loaded."""
    monkeypatch.setattr(Trials, "try_model", lambda _self, _path: None)
    writer = GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_block_count(4)
    writer.add_embedding_length(1024)
    writer.add_head_count(8)
    writer.add_context_length(1024)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return tmp_path / "model.gguf"


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips the loading of models in the checks."""
    monkeypatch.setattr(Trials, "try_model", lambda _self, _path: None)
