"""Fixtures of the embedded model, opened once per test module."""

import pytest

from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel, find_embedded_model
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary


@pytest.fixture(scope="module")
def model() -> LlamaModel:
    return LlamaModel(load(find_library()), find_embedded_model())


@pytest.fixture(scope="module")
def vocabulary(model: LlamaModel) -> LlamaVocabulary:
    return LlamaVocabulary(model)
