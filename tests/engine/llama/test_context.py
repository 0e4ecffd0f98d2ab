"""The bits of the real model's logits: the same however a prompt is cut, and whatever else runs."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.core.backend import Logits, SlotId
from friendli_endpoint.engine.llama.context import DecodeError, LlamaContext
from friendli_endpoint.engine.llama.model import LlamaModel, ModelError
from tests.engine.llama.opened import CONTEXT, PROMPT, SEQUENCES
from tests.engine.slot_ids import slot_ids

pytestmark = pytest.mark.model

FIRST, SECOND, THIRD, FOURTH = SLOTS = slot_ids(range(SEQUENCES))


@pytest.fixture(scope="module")
def context(model: LlamaModel) -> Iterator[LlamaContext]:
    context = LlamaContext(model, SEQUENCES, CONTEXT, 2)
    yield context
    context.close()


def prefilled(
    context: LlamaContext, sequence: SlotId, tokens: Sequence[int], cuts: Sequence[int] = ()
) -> Logits:
    """The logits after a prompt that is prefilled in pieces."""
    context.truncate(sequence, 0)
    ids = np.array(tokens, np.int32)
    logits = None
    for start, stop in pairwise([0, *cuts, len(tokens)]):
        logits = context.prefill(sequence, ids[start:stop], start, stop == len(tokens))
    assert logits is not None
    return logits.copy()


def same(first: Logits, second: Logits) -> bool:
    return first.tobytes() == second.tobytes()


@pytest.fixture(scope="module")
def whole(context: LlamaContext) -> Logits:
    return prefilled(context, FIRST, PROMPT)


@st.composite
def cuts(draw: st.DrawFn) -> list[int]:
    """Where to cut the prompt, every piece of two tokens at least."""
    chosen = sorted(draw(st.sets(st.integers(2, len(PROMPT) - 2), max_size=5)))
    kept: list[int] = []
    for cut in chosen:
        if cut - (kept[-1] if kept else 0) >= 2:
            kept.append(cut)
    return kept


@settings(max_examples=8, deadline=None)
@given(cuts(), st.sampled_from(SLOTS))
def test_a_prompt_in_any_pieces_gives_the_same_bits(
    context: LlamaContext, whole: Logits, cuts: list[int], sequence: SlotId
) -> None:
    assert same(prefilled(context, sequence, PROMPT, cuts), whole)


def test_the_logits_are_of_the_vocabulary(
    context: LlamaContext, model: LlamaModel, whole: Logits
) -> None:
    assert whole.shape == (model.vocabulary_size,)
    assert np.isfinite(whole).all()
    context.truncate(SECOND, 0)
    assert context.prefill(SECOND, np.array(PROMPT[:4], np.int32), 0, False) is None


def continued(
    context: LlamaContext, sequence: SlotId, tokens: Sequence[int], start: int = len(PROMPT)
) -> list[Logits]:
    """Decodes tokens, by default after the prompt, alone."""
    rows = []
    for position, token in enumerate(tokens, start):
        rows.append(context.decode([sequence], [token], [position])[0].copy())
    return rows


def test_a_sequence_decodes_the_same_bits_alone_and_beside_others(context: LlamaContext) -> None:
    tokens = [20, 3000, 41000]
    prefilled(context, FIRST, PROMPT)
    alone = continued(context, FIRST, tokens)
    for others in ([THIRD], [SECOND, THIRD, FOURTH]):
        batch = [*others, FIRST]
        lengths = {slot: 5 + 9 * slot for slot in others}
        for slot in others:
            prefilled(context, slot, PROMPT[: lengths[slot]])
        prefilled(context, FIRST, PROMPT)
        for step, token in enumerate(tokens):
            row = batch.index(FIRST)
            positions = [lengths.get(slot, len(PROMPT)) + step for slot in batch]
            fed = [token if slot == FIRST else 500 + slot for slot in batch]
            beside = context.decode(batch, fed, positions)
            assert len(beside) == len(batch)
            assert same(beside[row].copy(), alone[step])
            batch.reverse()


def test_sequences_that_lie_apart_move_together_and_none_loses_a_bit(
    context: LlamaContext,
) -> None:
    tokens = [20, 3000, 41000, 7, 99]
    prompts = [PROMPT[: 40 - 9 * slot] for slot in SLOTS]
    expected = []
    for prompt in prompts:
        prefilled(context, FIRST, prompt)
        expected.append(continued(context, FIRST, tokens, len(prompt)))
    for running in map(slot_ids, ([0, 2], [3, 1], [0, 1, 3], [2, 0, 3])):
        for slot, prompt in zip(SLOTS, prompts, strict=True):
            prefilled(context, slot, prompt)
        for step, token in enumerate(tokens):
            at = [len(prompts[slot]) + step for slot in running]
            rows = context.decode(running, [token] * len(running), at)
            for slot, row in zip(running, rows, strict=True):
                assert same(row.copy(), expected[slot][step])
        for idle in set(SLOTS).difference(running):
            (row,) = context.decode([idle], tokens[:1], [len(prompts[idle])])
            assert same(row.copy(), expected[idle][0])


def test_a_copy_goes_on_like_its_source(context: LlamaContext) -> None:
    prefilled(context, THIRD, PROMPT[::-1])
    prefilled(context, FIRST, PROMPT)
    context.copy(FIRST, THIRD)
    first = continued(context, FIRST, [11, 12])
    second = continued(context, THIRD, [11, 12])
    assert all(map(same, first, second))


def test_an_extended_answer_is_the_same_in_every_sequence(context: LlamaContext) -> None:
    tokens = np.array([20, 3000, 41000, *range(500, 513)], np.int32)
    prefilled(context, FIRST, PROMPT)
    rows = context.extend(FIRST, tokens, len(PROMPT), True)
    assert rows is not None
    expected = [row.copy() for row in rows]
    (after,) = continued(context, FIRST, [7], len(PROMPT) + len(tokens))
    for sequence in (SECOND, FOURTH):
        prefilled(context, THIRD, PROMPT[:9])
        prefilled(context, sequence, PROMPT)
        rows = context.extend(sequence, tokens, len(PROMPT), True)
        assert rows is not None and all(map(same, rows, expected))
        context.truncate(sequence, len(PROMPT))
        assert context.extend(sequence, tokens, len(PROMPT), False) is None
        at = [9, len(PROMPT) + len(tokens)]
        assert same(context.decode([THIRD, sequence], [7, 7], at)[1].copy(), after)


def test_nothing_generated_is_kept_where_a_sequence_is_always_alone(model: LlamaModel) -> None:
    """What an adapter changes has other bits alone."""
    with closing(LlamaContext(model, 1, CONTEXT, 1)) as lone:
        assert lone.flash and lone.batch_invariant_positions == 0


def test_what_is_truncated_is_forgotten(context: LlamaContext) -> None:
    prefilled(context, FIRST, PROMPT)
    first = continued(context, FIRST, [11, 12, 13])
    context.truncate(FIRST, len(PROMPT))
    assert all(map(same, first, continued(context, FIRST, [11, 12, 13])))
    context.truncate(FIRST, len(PROMPT))
    context.copy(FIRST, FOURTH)
    context.truncate(FOURTH, len(PROMPT))
    assert all(map(same, first, continued(context, FOURTH, [11, 12, 13])))


def test_a_batch_that_cannot_be_decoded_says_so(context: LlamaContext, whole: Logits) -> None:
    context.truncate(SECOND, 0)
    with pytest.raises(DecodeError, match="batch of 1 tokens"):
        context.decode([SECOND], [10**9], [0])
    assert same(prefilled(context, SECOND, PROMPT), whole)


def test_room_that_no_memory_gives_is_refused(model: LlamaModel) -> None:
    with pytest.raises(ModelError, match=r"300 sequences .* lower --max-sequences or --context"):
        LlamaContext(model, 300, CONTEXT, 1)
