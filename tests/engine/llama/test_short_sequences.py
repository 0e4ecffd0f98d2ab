"""Sequences at the limit between the flash cache and the main cache."""

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from friendli_endpoint.engine.core.backend import Logits, SlotId
from friendli_endpoint.engine.llama.context import FLASH_POSITIONS, LlamaContext
from friendli_endpoint.engine.llama.library import find_library, load
from friendli_endpoint.engine.llama.model import LlamaModel
from tests.engine.slot_ids import slot_ids
from tests.support.models.byte_pairs import LLAMA, write_byte_pairs
from tests.support.models.weights import Shape

pytestmark = pytest.mark.model

SEQUENCES, CONTEXT = 6, 512
TEXT = tuple(random.Random(4).choices(range(256), k=CONTEXT))

A, B, C, D, E, F = slot_ids(range(SEQUENCES))


@pytest.fixture(scope="module", params=[Type.Q8_0, Type.F16, Type.Q5_K], ids=lambda type: type.name)
def context(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LlamaContext]:
    path = tmp_path_factory.mktemp("short") / "model.gguf"
    shape = Shape(width=256, head=64, forward=512, type=request.param)
    model = LlamaModel(load(find_library()), write_byte_pairs(path, LLAMA, shape))
    context = LlamaContext(model, SEQUENCES, CONTEXT, threads=1)
    assert context.flash
    yield context
    context.close()


def prefilled(
    context: LlamaContext, sequence: SlotId, length: int, cuts: Sequence[int] = (), start: int = 0
) -> Logits:
    context.truncate(sequence, start)
    logits = None
    for first, end in pairwise([start, *cuts, length]):
        logits = context.prefill(
            sequence, np.array(TEXT[first:end], np.int32), first, end == length
        )
    assert logits is not None and np.isfinite(logits).all()
    return logits.copy()


def decoded(
    context: LlamaContext, starts: Sequence[int], own: int, first: int, steps: int
) -> list[Logits]:
    """Decodes several sequences of the text; returns the logits of the sequence `own`."""
    sequences = slot_ids(range(first, first + len(starts)))
    for sequence, start in zip(sequences, starts, strict=True):
        prefilled(context, sequence, start)
    rows = []
    for step in range(steps):
        positions = [start + step for start in starts]
        tokens = [TEXT[position] for position in positions]
        rows.append(context.decode(sequences, tokens, positions)[own].copy())
    return rows


@pytest.mark.parametrize(
    "length", [FLASH_POSITIONS, FLASH_POSITIONS + 1, FLASH_POSITIONS + 9, FLASH_POSITIONS + 60]
)
def test_chunks_do_not_change_the_logits(context: LlamaContext, length: int) -> None:
    whole = prefilled(context, A, length)
    for cuts in (
        [100],
        [FLASH_POSITIONS - 100, FLASH_POSITIONS - 8],
        [FLASH_POSITIONS - 9],
        [FLASH_POSITIONS - 63, FLASH_POSITIONS - 20],
    ):
        assert np.array_equal(whole, prefilled(context, B, length, cuts))


def test_a_chunk_may_begin_or_end_near_the_limit(context: LlamaContext) -> None:
    whole = prefilled(context, A, FLASH_POSITIONS + 40)
    for cuts in (
        [FLASH_POSITIONS],
        [FLASH_POSITIONS + 8],
        [FLASH_POSITIONS - 8, FLASH_POSITIONS + 1],
        [FLASH_POSITIONS - 1, FLASH_POSITIONS + 20],
    ):
        assert np.array_equal(whole, prefilled(context, B, FLASH_POSITIONS + 40, cuts))


@pytest.mark.parametrize(
    "neighbours",
    [
        [30],
        [FLASH_POSITIONS + 50],
        [FLASH_POSITIONS - 5],
        [30, FLASH_POSITIONS - 3, FLASH_POSITIONS + 1, FLASH_POSITIONS + 90],
    ],
)
def test_neighbours_do_not_change_a_sequence_that_crosses_the_limit(
    context: LlamaContext, neighbours: Sequence[int]
) -> None:
    start, steps = FLASH_POSITIONS - 4, 8
    alone = decoded(context, [start], 0, 2, steps)
    assert np.array_equal(alone, decoded(context, [start, *neighbours], 0, 0, steps))
    own = len(neighbours)
    assert np.array_equal(alone, decoded(context, [*neighbours, start], own, 1, steps))


@pytest.mark.parametrize(
    "kept", [20, FLASH_POSITIONS - 1, FLASH_POSITIONS, FLASH_POSITIONS + 1, FLASH_POSITIONS + 100]
)
def test_a_truncated_sequence_continues_like_a_new_one(context: LlamaContext, kept: int) -> None:
    length = kept + 30
    fresh = prefilled(context, A, length)
    following = context.decode([A], [5], [length])[0].copy()
    prefilled(context, D, FLASH_POSITIONS + 150)
    assert np.array_equal(prefilled(context, D, length, start=kept), fresh)
    assert np.array_equal(context.decode([D], [5], [length])[0], following)
    context.copy(D, F)
    context.truncate(F, kept)
    assert np.array_equal(prefilled(context, F, length, start=kept), fresh)
    assert np.array_equal(context.decode([F], [5], [length])[0], following)


def test_a_copy_replaces_a_sequence_in_the_other_cache(context: LlamaContext) -> None:
    for source, target in ((50, FLASH_POSITIONS + 20), (FLASH_POSITIONS + 20, 50)):
        prefilled(context, A, source)
        prefilled(context, B, target)
        context.copy(A, B)
        first, second = context.decode([A, B], [9, 9], [source, source])
        assert np.array_equal(first, second)
        prefilled(context, A, 30)
        alone = context.decode([A], [9], [30])[0].copy()
        prefilled(context, B, 30)
        assert np.array_equal(context.decode([B], [9], [30])[0], alone)


def test_extending_across_the_limit_gives_the_same_logits_in_every_slot(
    context: LlamaContext,
) -> None:
    start = FLASH_POSITIONS - 5
    tokens = np.array(TEXT[start : start + 12], np.int32)
    prefilled(context, A, start)
    rows = context.extend(A, tokens, start, True)
    assert rows is not None and len(rows) == 12
    expected = [row.copy() for row in rows]
    prefilled(context, B, FLASH_POSITIONS + 70)
    prefilled(context, E, start)
    rows = context.extend(E, tokens, start, True)
    assert rows is not None and np.array_equal(rows, expected)
    positions = [FLASH_POSITIONS + 70, start + 12]
    after = context.decode([B, E], [7, 7], positions)[1].copy()
    assert np.array_equal(context.decode([A], [7], positions[1:])[0], after)
