"""What a model file says of itself, and that it is served as it is where it cannot be split."""

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


def test_the_model_tells_what_it_is(model: LlamaModel) -> None:
    assert model.train_context >= 2048
    assert model.kv_bytes_per_token > 0
    assert 0 < model.weight_bytes < find_embedded_model().stat().st_size
    assert "message" in (model.chat_template() or "")
    assert model.metadata("general.architecture") == "llama"
    assert model.metadata("there.is.no.such.key") is None
    template = model.metadata("tokenizer.chat_template")
    assert template == model.chat_template(), "values longer than a first buffer are read whole"


def test_opening_a_model_tells_an_operator_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert LlamaModel(load(find_library()), find_embedded_model()).offsets
    assert caplog.records == []


@pytest.mark.parametrize(
    "fault",
    [SplitError("cannot split it: No space left on device"), FileNotFoundError("no folder")],
)
def test_a_model_that_cannot_be_split_is_served_as_it_is(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_paths: Path) -> bool:
        raise fault

    monkeypatch.setattr("friendli_endpoint.engine.llama.model.split", failing)
    assert LlamaModel(load(find_library()), find_embedded_model()).offsets == ()
    assert f"{fault}; it is served more slowly, as it is" in caplog.messages


def test_a_vocabulary_is_not_read_from_what_is_not_a_model(
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
