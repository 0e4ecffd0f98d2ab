"""For every weight type, stored prefixes have the bits of computed ones in any other engine.

Another engine may have another number of threads, of sequences and of tokens in a sequence.
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from friendli_endpoint.engine.core.backend import BLOCK_TOKENS, SlotId
from friendli_endpoint.engine.llama.context import FLASH_POSITIONS, LlamaContext
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel
from tests.families.test_types import TEXT, TYPES, model_file

LENGTH = FLASH_POSITIONS + 120
CUTS = (100, 228)
NUM_BLOCKS = LENGTH // BLOCK_TOKENS
LAST = SlotId(2)
WITH_THREADS = (Type.F32, Type.Q4_1, Type.Q8_0)
"""Types tested with two threads; threads that wait for each other are slow on a busy machine."""


@pytest.fixture(scope="module", params=TYPES, ids=lambda kind: kind.name)
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LlamaContext, LlamaContext]]:
    """Two contexts of the same model that have nothing else in common."""
    kind: Type = request.param
    model = LlamaModel(load(find_library()), model_file(tmp_path_factory.mktemp("types"), kind))
    with (
        closing(LlamaContext(model, 9, 1024, 1)) as first,
        closing(LlamaContext(model, 3, 600, 2 if kind in WITH_THREADS else 1)) as second,
    ):
        yield first, second


def prefilled(context: LlamaContext, start: int, *cuts: int) -> bytes:
    """Prefills the text from a position on; returns the bits of the logits after it."""
    logits = None
    for first, end in pairwise([start, *cuts, LENGTH]):
        tokens = np.array(TEXT[first:end], np.int32)
        logits = context.prefill(LAST, tokens, first, end == LENGTH)
    assert logits is not None
    return logits.tobytes()


def saved(context: LlamaContext) -> list[bytes]:
    block = context.save(LAST)
    return [block(index).tobytes() for index in range(NUM_BLOCKS)]


def test_stored_prefixes_have_the_bits_of_computed_ones(
    opened: tuple[LlamaContext, LlamaContext],
) -> None:
    first, second = opened
    assert first.block_format == second.block_format
    whole = prefilled(first, 0)
    blocks = saved(first)
    assert prefilled(second, 0, *CUTS) == whole
    assert saved(second) == blocks
    for number in (1, NUM_BLOCKS - 2, NUM_BLOCKS):
        arrays = [np.frombuffer(block, np.uint8) for block in blocks[:number]]
        second.restore(LAST, arrays)
        assert prefilled(second, number * BLOCK_TOKENS) == whole
        assert saved(second) == blocks
