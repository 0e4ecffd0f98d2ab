"""Bits of the real model's logits: independent of prompt chunks and of concurrent sequences."""

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
    context = LlamaContext(model, SEQUENCES, CONTEXT, 1)
    yield context
    context.close()


def prefilled(
    context: LlamaContext, sequence: SlotId, tokens: Sequence[int], cuts: Sequence[int] = ()
) -> Logits:
    """Returns the logits after a prompt that is prefilled in chunks."""
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
    """Draws positions at which the prompt is cut into chunks of at least two tokens."""
    chosen = sorted(draw(st.sets(st.integers(2, len(PROMPT) - 2), max_size=5)))
    cuts: list[int] = []
    for cut in chosen:
        if cut - (cuts[-1] if cuts else 0) >= 2:
            cuts.append(cut)
    return cuts


@settings(max_examples=8, deadline=None)
@given(cuts(), st.sampled_from(SLOTS))
def test_the_chunks_of_a_prompt_do_not_change_its_logits(
    context: LlamaContext, whole: Logits, cuts: list[int], sequence: SlotId
) -> None:
    assert same(prefilled(context, sequence, PROMPT, cuts), whole)


def test_logits_are_finite_and_have_the_size_of_the_vocabulary(
    context: LlamaContext, model: LlamaModel, whole: Logits
) -> None:
    assert whole.shape == (model.vocabulary_size,)
    assert np.isfinite(whole).all()
    context.truncate(SECOND, 0)
    assert context.prefill(SECOND, np.array(PROMPT[:4], np.int32), 0, False) is None


def continued(
    context: LlamaContext, sequence: SlotId, tokens: Sequence[int], start: int = len(PROMPT)
) -> list[Logits]:
    """Decodes tokens in batches of one sequence, by default after the prompt."""
    rows = []
    for position, token in enumerate(tokens, start):
        rows.append(context.decode([sequence], [token], [position])[0].copy())
    return rows


def test_a_sequence_has_the_same_logits_alone_and_in_a_batch(context: LlamaContext) -> None:
    tokens = [20, 3000, 41000]
    prefilled(context, FIRST, PROMPT)
    alone = continued(context, FIRST, tokens)
    for neighbours in ([THIRD], [SECOND, THIRD, FOURTH]):
        batch = [*neighbours, FIRST]
        lengths = {slot: 5 + 9 * slot for slot in neighbours}
        for slot in neighbours:
            prefilled(context, slot, PROMPT[: lengths[slot]])
        prefilled(context, FIRST, PROMPT)
        for step, token in enumerate(tokens):
            index = batch.index(FIRST)
            positions = [lengths.get(slot, len(PROMPT)) + step for slot in batch]
            next_tokens = [token if slot == FIRST else 500 + slot for slot in batch]
            rows = context.decode(batch, next_tokens, positions)
            assert len(rows) == len(batch)
            assert same(rows[index].copy(), alone[step])
            batch.reverse()


def test_swapping_sequence_ids_changes_no_logits(
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
            positions = [len(prompts[slot]) + step for slot in running]
            rows = context.decode(running, [token] * len(running), positions)
            for slot, row in zip(running, rows, strict=True):
                assert same(row.copy(), expected[slot][step])
        for idle in set(SLOTS).difference(running):
            (row,) = context.decode([idle], tokens[:1], [len(prompts[idle])])
            assert same(row.copy(), expected[idle][0])


def test_a_copy_continues_like_its_source(context: LlamaContext) -> None:
    prefilled(context, THIRD, PROMPT[::-1])
    prefilled(context, FIRST, PROMPT)
    context.copy(FIRST, THIRD)
    first = continued(context, FIRST, [11, 12])
    second = continued(context, THIRD, [11, 12])
    assert all(map(same, first, second))


def test_extending_gives_the_same_logits_in_every_slot(context: LlamaContext) -> None:
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
        positions = [9, len(PROMPT) + len(tokens)]
        assert same(context.decode([THIRD, sequence], [7, 7], positions)[1].copy(), after)


def test_a_context_of_one_slot_has_no_batch_invariant_positions(model: LlamaModel) -> None:
    """With an adapter a single token has other bits, and there is no sequence to pad it with."""
    with closing(LlamaContext(model, 1, CONTEXT, 1)) as lone:
        assert lone.flash and lone.batch_invariant_positions == 0


def test_two_threads_give_the_bits_of_one(context: LlamaContext, model: LlamaModel) -> None:
    """So one is enough for the other tests, where two would wait for each other's processor."""
    tokens = [11, 12, 13]
    expected = [prefilled(context, FIRST, PROMPT), *continued(context, FIRST, tokens)]
    with closing(LlamaContext(model, SEQUENCES, CONTEXT, 2)) as threaded:
        for slot in (THIRD, FIRST):
            prefilled(threaded, slot, PROMPT, [9] if slot == FIRST else ())
        found = [prefilled(threaded, FIRST, PROMPT), *continued(threaded, FIRST, tokens)]
        assert all(map(same, expected, found))
        prefilled(threaded, FIRST, PROMPT)
        start = len(PROMPT)
        for position, (token, row) in enumerate(zip(tokens, expected[1:], strict=True), start):
            rows = threaded.decode([FIRST, THIRD], [token, token], [position, position])
            assert all(same(beside, row) for beside in rows)


def test_truncated_tokens_do_not_change_later_logits(context: LlamaContext) -> None:
    prefilled(context, FIRST, PROMPT)
    first = continued(context, FIRST, [11, 12, 13])
    context.truncate(FIRST, len(PROMPT))
    assert all(map(same, first, continued(context, FIRST, [11, 12, 13])))
    context.truncate(FIRST, len(PROMPT))
    context.copy(FIRST, FOURTH)
    context.truncate(FOURTH, len(PROMPT))
    assert all(map(same, first, continued(context, FOURTH, [11, 12, 13])))


def test_a_batch_that_cannot_be_decoded_is_an_error(context: LlamaContext, whole: Logits) -> None:
    context.truncate(SECOND, 0)
    with pytest.raises(DecodeError, match="batch of 1 tokens"):
        context.decode([SECOND], [10**9], [0])
    assert same(prefilled(context, SECOND, PROMPT), whole)


def test_a_context_that_cannot_be_allocated_is_an_error(model: LlamaModel) -> None:
    with pytest.raises(ModelError, match=r"300 sequences .* lower --max-sequences or --context"):
        LlamaContext(model, 300, CONTEXT, 1)
