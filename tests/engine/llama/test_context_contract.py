"""The backend contract for `LlamaContext`, with short and with long sequences."""

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Type

from friendli_endpoint.engine.core.backend import Backend
from friendli_endpoint.engine.llama.context import FLASH_POSITIONS, LlamaContext
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel
from tests.engine.core.backend_contract import (
    SLOTS,
    A,
    B,
    BackendContract,
    Subject,
    loaded,
    prefilled,
)
from tests.support.lora import write_loras
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs
from tests.support.models.weights import Shape

pytestmark = pytest.mark.model

CONTEXT, THREADS = 512, 1


def opened(model: LlamaModel) -> LlamaContext:
    return LlamaContext(model, SLOTS, CONTEXT, THREADS)


def subject_of(
    model: LlamaModel, folder: Path, prompt: Sequence[int], cuts: Sequence[Sequence[int]]
) -> Subject:
    first, second = write_loras(folder, model.path, range(2))
    (folder / "garbage.gguf").write_bytes(b"GGUF" + bytes(4096))
    (folder / "text.gguf").write_bytes(b"not an adapter at all")
    names = "absent.gguf", "garbage.gguf", "text.gguf"
    return Subject(
        partial(opened, model),
        model.vocabulary_size,
        tuple(prompt),
        cuts,
        adapters=(first, second),
        not_adapters=[*(folder / name for name in names), model.path, folder],
    )


@pytest.fixture(scope="module")
def embedded(model: LlamaModel, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    prompt = random.Random(5).sample(range(300, 40_000), 40)
    return subject_of(model, tmp_path_factory.mktemp("embedded"), prompt, [[2], [16, 32]])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A small model, and a prompt that is too long for the flash cache."""
    folder = tmp_path_factory.mktemp("small")
    shape = Shape(width=256, head=64, forward=512, type=Type.Q8_0)
    path = write_byte_pairs(folder / "model.gguf", LLAMA, shape)
    model = LlamaModel(load(find_library()), path)
    prompt = random.Random(6).choices(range(256), k=FLASH_POSITIONS + 40)
    return subject_of(
        model, folder, prompt, [[64], [FLASH_POSITIONS], [FLASH_POSITIONS - 9, FLASH_POSITIONS + 8]]
    )


@pytest.fixture(scope="module")
def contexts(embedded: Subject, small: Subject) -> Iterator[dict[Subject, Backend]]:
    """An open context for each model."""
    with closing(embedded.open()) as first, closing(small.open()) as second:
        yield {embedded: first, small: second}


@pytest.fixture
def backend(subject: Subject, contexts: dict[Subject, Backend]) -> Backend:
    assert contexts[subject].batch_invariant_positions == FLASH_POSITIONS
    return contexts[subject]


class TestEmbeddedModel(BackendContract):
    """Sequences in the flash cache."""

    @pytest.fixture
    def subject(self, embedded: Subject) -> Subject:
        return embedded


class TestLongSequences(BackendContract):
    """Sequences in the main cache."""

    @pytest.fixture
    def subject(self, small: Subject) -> Subject:
        return small


def test_an_adapter_changes_the_logits(embedded: Subject, contexts: dict[Subject, Backend]) -> None:
    context, (first, second) = contexts[embedded], embedded.adapters
    plain = prefilled(context, A, embedded.prompt)
    with loaded(context, first) as first_id, loaded(context, second) as second_id:
        changed = [
            prefilled(context, B, embedded.prompt, adapter=adapter)
            for adapter in (first_id, second_id)
        ]
    assert len({plain, *changed}) == 3
