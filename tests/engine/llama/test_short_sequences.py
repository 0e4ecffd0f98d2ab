"""Short sequences and long ones are computed apart: what happens at the border between them."""

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from friendli_endpoint.engine.core.backend import Logits, SlotId
from friendli_endpoint.engine.llama.context import SHORT, LlamaContext
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
    """What one of several sequences says, each going on from where it starts in the text."""
    sequences = slot_ids(range(first, first + len(starts)))
    for sequence, start in zip(sequences, starts, strict=True):
        prefilled(context, sequence, start)
    rows = []
    for step in range(steps):
        at = [start + step for start in starts]
        rows.append(context.decode(sequences, [TEXT[position] for position in at], at)[own].copy())
    return rows


@pytest.mark.parametrize("length", [SHORT, SHORT + 1, SHORT + 9, SHORT + 60])
def test_pieces_change_no_bit(context: LlamaContext, length: int) -> None:
    whole = prefilled(context, A, length)
    for cuts in ([100], [SHORT - 100, SHORT - 8], [SHORT - 9], [SHORT - 63, SHORT - 20]):
        assert np.array_equal(whole, prefilled(context, B, length, cuts))


def test_a_piece_may_begin_or_end_at_the_border(context: LlamaContext) -> None:
    whole = prefilled(context, A, SHORT + 40)
    for cuts in ([SHORT], [SHORT + 8], [SHORT - 8, SHORT + 1], [SHORT - 1, SHORT + 20]):
        assert np.array_equal(whole, prefilled(context, B, SHORT + 40, cuts))


@pytest.mark.parametrize(
    "others", [[30], [SHORT + 50], [SHORT - 5], [30, SHORT - 3, SHORT + 1, SHORT + 90]]
)
def test_growing_beside_others_changes_no_bit(context: LlamaContext, others: Sequence[int]) -> None:
    start, steps = SHORT - 4, 8
    alone = decoded(context, [start], 0, 2, steps)
    assert np.array_equal(alone, decoded(context, [start, *others], 0, 0, steps))
    own = len(others)
    assert np.array_equal(alone, decoded(context, [*others, start], own, 1, steps))


@pytest.mark.parametrize("kept", [20, SHORT - 1, SHORT, SHORT + 1, SHORT + 100])
def test_what_is_cut_goes_on_as_if_new(context: LlamaContext, kept: int) -> None:
    length = kept + 30
    fresh = prefilled(context, A, length)
    following = context.decode([A], [5], [length])[0].copy()
    prefilled(context, D, SHORT + 150)
    assert np.array_equal(prefilled(context, D, length, start=kept), fresh)
    assert np.array_equal(context.decode([D], [5], [length])[0], following)
    context.copy(D, F)
    context.truncate(F, kept)
    assert np.array_equal(prefilled(context, F, length, start=kept), fresh)
    assert np.array_equal(context.decode([F], [5], [length])[0], following)


def test_a_copy_takes_the_place_of_what_was_elsewhere(context: LlamaContext) -> None:
    for source, target in ((50, SHORT + 20), (SHORT + 20, 50)):
        prefilled(context, A, source)
        prefilled(context, B, target)
        context.copy(A, B)
        first, second = context.decode([A, B], [9, 9], [source, source])
        assert np.array_equal(first, second)
        prefilled(context, A, 30)
        alone = context.decode([A], [9], [30])[0].copy()
        prefilled(context, B, 30)
        assert np.array_equal(context.decode([B], [9], [30])[0], alone)


def test_forced_tokens_are_the_same_in_every_sequence(context: LlamaContext) -> None:
    start = SHORT - 5
    tokens = np.array(TEXT[start : start + 12], np.int32)
    prefilled(context, A, start)
    rows = context.extend(A, tokens, start, True)
    assert rows is not None and len(rows) == 12
    expected = [row.copy() for row in rows]
    prefilled(context, B, SHORT + 70)
    prefilled(context, E, start)
    rows = context.extend(E, tokens, start, True)
    assert rows is not None and np.array_equal(rows, expected)
    at = [SHORT + 70, start + 12]
    after = context.decode([B, E], [7, 7], at)[1].copy()
    assert np.array_equal(context.decode([A], [7], at[1:])[0], after)
