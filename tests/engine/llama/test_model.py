"""Models and vocabularies loaded by llama.cpp, and models whose weights cannot be split."""

import logging
from pathlib import Path

import pytest

from friendli_endpoint.engine.llama.gguf.split import SplitError
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import (
    LlamaModel,
    ModelError,
    VocabularyFile,
    find_embedded_model,
)

pytestmark = pytest.mark.model


def test_properties_of_the_embedded_model(model: LlamaModel) -> None:
    assert model.train_context >= 2048
    assert model.kv_bytes_per_token > 0
    assert 0 < model.weight_bytes < find_embedded_model().stat().st_size
    assert "message" in (model.chat_template() or "")
    assert model.metadata("general.architecture") == "llama"
    assert model.metadata("there.is.no.such.key") is None
    template = model.metadata("tokenizer.chat_template")
    assert template == model.chat_template(), "values longer than the first buffer are complete"


def test_opening_a_model_logs_nothing_above_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert LlamaModel(load(find_library()), find_embedded_model()).offset_adapters
    assert caplog.records == []


@pytest.mark.parametrize(
    "fault",
    [SplitError("cannot split the file: No space left on device"), FileNotFoundError("no folder")],
)
def test_a_model_that_cannot_be_split_is_served_without_splitting(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_paths: Path) -> bool:
        raise fault

    monkeypatch.setattr("friendli_endpoint.engine.llama.model.split", failing)
    assert LlamaModel(load(find_library()), find_embedded_model()).offset_adapters == ()
    assert f"{fault}; the model is served without splitting, which is slower" in caplog.messages


def test_a_vocabulary_of_a_file_that_is_not_a_model_is_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "friendli_endpoint.llama")
    library = load(find_library())
    with pytest.raises(ModelError, match="No such file"):
        VocabularyFile(library, tmp_path / "absent.gguf")
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGML" * 100)
    with pytest.raises(ModelError, match="is not a GGUF file"):
        VocabularyFile(library, path)
    path.write_bytes(b"GGUF" + bytes(4096))
    with pytest.raises(ModelError, match=r"cannot load the vocabulary of .*model\.gguf"):
        VocabularyFile(library, path)
