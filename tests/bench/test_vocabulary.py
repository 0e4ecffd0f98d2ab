"""Copies of a model with a larger vocabulary."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.endpoint.vocabulary import widen
from friendli_endpoint.engine.core.backend import SlotId
from friendli_endpoint.engine.llama.context import LlamaContext
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel, find_embedded_model
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary

TEXT = "The pilots count the sandbanks in spring."
SIZE = 49_200


def logits_of(path: Path) -> np.ndarray:
    model = LlamaModel(load(find_library()), path)
    context = LlamaContext(model, 1, 256, 1)
    try:
        tokens = LlamaVocabulary(model).tokenize(TEXT, False)
        logits = context.prefill(SlotId(0), np.array(tokens, np.int32), 0, True)
        assert logits is not None
        return logits.copy()
    finally:
        context.close()


@pytest.mark.model
def test_added_tokens_do_not_change_the_logits_of_the_others(tmp_path: Path) -> None:
    source = find_embedded_model()
    widen(source, tmp_path / "wide.gguf", SIZE)
    before, after = logits_of(source), logits_of(tmp_path / "wide.gguf")
    assert after.size == SIZE
    assert np.array_equal(after[: before.size], before)
    assert not after[before.size :].any()
