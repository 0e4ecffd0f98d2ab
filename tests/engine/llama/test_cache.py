"""A context's sequences hold what they were given, however batches are put together."""

from collections.abc import Iterable
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.core.backend import MAX_RUN, Logits
from friendli_endpoint.engine.llama.cache import Cache, DecodeError
from friendli_endpoint.engine.llama.library import FLASH_ATTENTION_OFF, FLASH_ATTENTION_ON
from friendli_endpoint.engine.llama.model import ModelError
from tests.engine.llama.scripted_llama import SIZE, ScriptedLibrary, logits_after, model_of
from tests.engine.slot_ids import slot_ids

SEQUENCES, ROOM = 6, 600
A, B, C, D, E, F = SLOTS = slot_ids(range(SEQUENCES))


@pytest.fixture
def library() -> ScriptedLibrary:
    return ScriptedLibrary()


@pytest.fixture
def cache(library: ScriptedLibrary) -> Cache:
    return opened(library)


def opened(
    library: ScriptedLibrary,
    *,
    sequences: int = SEQUENCES,
    flash: bool = False,
    most: int | None = None,
    has_windows: bool = False,
    weight_bytes: int = 1 << 20,
) -> Cache:
    model = model_of(library, most=most, has_windows=has_windows, weight_bytes=weight_bytes)
    return Cache(model, sequences, ROOM, 3, flash, 64)


def told(rows: Iterable[Logits]) -> list[list[float]]:
    return [row.tolist() for row in rows]


@pytest.mark.parametrize(
    ("flash", "kind"), [(True, FLASH_ATTENTION_ON), (False, FLASH_ATTENTION_OFF)]
)
def test_the_context_has_room_for_every_sequence_apart(
    library: ScriptedLibrary, flash: bool, kind: int
) -> None:
    opened(library, flash=flash)
    params = library.params
    assert (params.n_seq_max, params.n_ctx, params.kv_unified) == (SEQUENCES, 3600, False)
    assert (params.n_batch, params.n_ubatch, params.n_outputs_max) == (64, 64, MAX_RUN)
    assert (params.n_threads, params.n_threads_batch, params.flash_attn_type) == (3, 3, kind)


def test_a_context_that_no_memory_holds_is_refused(library: ScriptedLibrary) -> None:
    library.answers["init"] = 0
    with pytest.raises(ModelError, match="6 sequences of 600 tokens; lower --max-sequences"):
        opened(library)


def test_a_context_is_freed_once(cache: Cache, library: ScriptedLibrary) -> None:
    cache.close()
    cache.close()
    assert library.freed == 1


def test_tokens_are_appended_to_their_own_sequence(cache: Cache, library: ScriptedLibrary) -> None:
    cache.append(B, [1, 2, 3], 0, False)
    cache.append(D, np.array([3], np.int32), 0, True)
    assert told(cache.logits(1)) == [logits_after([3])]
    cache.append(B, [0, 1, 2], 3, np.array([True, False, True]))
    assert told(cache.logits(2)) == [logits_after([1, 2, 3, 0]), logits_after([1, 2, 3, 0, 1, 2])]
    assert [cache.held(slot) for slot in SLOTS] == [0, 6, 0, 1, 0, 0]


def test_rows_are_in_the_order_of_the_slots(cache: Cache, library: ScriptedLibrary) -> None:
    for slot in SLOTS:
        cache.append(slot, [slot % SIZE] * (slot + 1), 0, False)
    rows = cache.decode([D, A, C], [1, 2, 3], [4, 1, 3], 1)
    assert told(rows) == [
        logits_after([3, 3, 3, 3, 1]),
        logits_after([0, 2]),
        logits_after([2, 2, 2, 3]),
    ]
    assert library.batches[-1] == sorted(library.batches[-1]), "ascending, for llama.cpp"


def test_sequences_of_other_lengths_are_decoded_apart(library: ScriptedLibrary) -> None:
    cache = opened(library, weight_bytes=100)
    for slot, length in ((A, 10), (B, 500), (C, 20)):
        cache.append(slot, [1] * min(length, 64), 0, False)
        for start in range(64, length, 64):
            cache.append(slot, [1] * min(64, length - start), start, False)
    library.batches.clear()
    rows = cache.decode([B, A, C], [0, 2, 3], [500, 10, 20], 1)
    assert sorted(map(len, library.batches)) == [1, 2]
    assert told(rows) == [
        logits_after([1] * 500 + [0]),
        logits_after([1] * 10 + [2]),
        logits_after([1] * 20 + [3]),
    ], "rows of the first batch are not those of the second"


def test_a_batch_has_no_more_sequences_than_the_kernels_allow(library: ScriptedLibrary) -> None:
    cache = opened(library, most=2)
    rows = cache.decode(SLOTS[:5], [0, 1, 2, 3, 0], [0] * 5, 1)
    assert told(rows) == [logits_after([token]) for token in (0, 1, 2, 3, 0)]
    assert max(map(len, library.batches)) == 2
    assert sorted(chain.from_iterable(library.batches)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("slot", [A, C, F])
def test_a_batch_that_would_be_too_small_has_a_token_more_that_is_dropped(
    cache: Cache, library: ScriptedLibrary, slot: int
) -> None:
    for other in SLOTS:
        cache.append(other, [other % SIZE] * 3, 0, False)
    library.batches.clear()
    (row,) = cache.decode([SLOTS[slot]], [1], [3], 2)
    assert row.tolist() == logits_after([slot % SIZE] * 3 + [1])
    assert [len(batch) for batch in library.batches] == [2]
    expected = [[other % SIZE] * 3 + [1] * (other == slot) for other in SLOTS]
    assert list(library.held.values()) == expected


def test_where_there_is_no_other_sequence_a_batch_may_be_small(library: ScriptedLibrary) -> None:
    cache = opened(library, sequences=1)
    (row,) = cache.decode([A], [1], [0], 2)
    assert row.tolist() == logits_after([1])
    assert library.batches == [[0]]


def test_sequences_that_run_together_come_to_lie_side_by_side(library: ScriptedLibrary) -> None:
    cache = opened(library)
    for slot in SLOTS:
        cache.append(slot, [slot % SIZE] * (slot + 1), 0, False)
    for step in range(4):
        rows = cache.decode([A, F], [1, 2], [1 + step, 6 + step], 1)
        assert told(rows) == [
            logits_after([0] + [1] * (step + 1)),
            logits_after([1] * 6 + [2] * (step + 1)),
        ]
    first, second = library.batches[-1]
    assert second - first == 1
    assert library.saved, "they have moved"
    assert [cache.held(slot) for slot in SLOTS] == [5, 2, 3, 4, 5, 10]


def test_sequences_with_windows_stay_where_they_are(library: ScriptedLibrary) -> None:
    cache = opened(library, has_windows=True)
    for step in range(4):
        cache.decode([A, F], [1, 2], [step, step], 1)
    assert library.batches == [[0, 5]] * 4 and not library.saved


@pytest.mark.parametrize("has_windows", [False, True])
def test_a_copy_holds_what_its_source_holds_and_goes_on_apart(
    library: ScriptedLibrary, has_windows: bool
) -> None:
    cache = opened(library, has_windows=has_windows)
    cache.append(A, [1, 2, 3], 0, False)
    cache.append(C, [0] * 9, 0, False)
    cache.copy(A, C)
    assert library.copied == ([(0, 2)] if has_windows else [])
    cache.append(C, [3], 3, True)
    assert told(cache.logits(1)) == [logits_after([1, 2, 3, 3])]
    cache.append(A, [0], 3, True)
    assert told(cache.logits(1)) == [logits_after([1, 2, 3, 0])]


def test_what_is_dropped_is_forgotten_from_a_position_on(cache: Cache) -> None:
    cache.append(A, [1, 2, 3], 0, False)
    cache.drop(A, 5)
    assert cache.held(A) == 3
    cache.drop(A, 1)
    cache.append(A, [0], 1, True)
    assert told(cache.logits(1)) == [logits_after([1, 0])]


def test_a_state_that_was_saved_replaces_what_a_sequence_holds(cache: Cache) -> None:
    cache.append(A, [1, 2, 3], 0, False)
    state = cache.save(A).copy()
    cache.append(B, [0] * 20, 0, False)
    assert len(cache.save(B)) > len(state)
    cache.restore(state, B)
    cache.append(B, [0], 3, True)
    assert told(cache.logits(1)) == [logits_after([1, 2, 3, 0])]
    assert len(cache.save(A)) == len(state), "as long as what is held, not as the buffer"


def test_adapters_are_set_where_they_change(cache: Cache, library: ScriptedLibrary) -> None:
    assert cache.adapters == ()
    for adapters in ((5, 7), (5,), ()):
        cache.use(adapters)
        assert cache.adapters == adapters and library.adapters == [*adapters]
        cache.drop(A, 0)
        cache.append(A, [1], 0, True)
        assert told(cache.logits(1)) == [logits_after([1], adapters)]
    library.adapters = [9]
    cache.use(())
    assert library.adapters == [9], "nothing is set up anew for the same"


def test_an_adapter_that_is_not_taken_is_not_used(cache: Cache, library: ScriptedLibrary) -> None:
    library.answers["adapters"] = -1
    with pytest.raises(DecodeError, match="does not take the adapter"):
        cache.use((5,))
    assert cache.adapters == ()


def test_a_batch_that_is_not_decoded_is_an_error(cache: Cache, library: ScriptedLibrary) -> None:
    with pytest.raises(DecodeError, match="answered -1 to a batch of 2 tokens"):
        cache.append(A, [1, 2], 5, False)
    library.answers["decode"] = 1
    with pytest.raises(DecodeError, match="answered 1 to a batch of 3 tokens"):
        cache.decode([A, B, C], [0, 0, 0], [0, 0, 0], 1)


@pytest.mark.parametrize(("call", "message"), [("get", "cannot copy"), ("set", "cannot take")])
def test_a_state_that_is_not_moved_whole_is_an_error(
    cache: Cache, library: ScriptedLibrary, call: str, message: str
) -> None:
    cache.append(A, [1, 2], 0, False)
    library.answers[call] = 0
    with pytest.raises(DecodeError, match=f"{message} the 12 bytes of a sequence"):
        cache.copy(A, B)


STEPS = st.lists(
    st.tuples(st.permutations(range(SEQUENCES)), st.integers(1, SEQUENCES), st.integers(1, 2)),
    max_size=12,
)


@given(
    STEPS,
    st.lists(st.integers(0, 64), min_size=SEQUENCES, max_size=SEQUENCES),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([10, 1 << 20]),
)
def test_every_sequence_goes_on_as_it_would_alone(
    steps: list[tuple[list[int], int, int]],
    lengths: list[int],
    most: int | None,
    weight_bytes: int,
) -> None:
    library = ScriptedLibrary()
    cache = opened(library, most=most, weight_bytes=weight_bytes)
    tokens = [[number % SIZE] * length for number, length in enumerate(lengths)]
    for slot, held in zip(SLOTS, tokens, strict=True):
        if held:
            cache.append(slot, held, 0, False)
    for order, count, least in steps:
        running = order[:count]
        fed = [len(tokens[number]) % SIZE for number in running]
        positions = [len(tokens[number]) for number in running]
        rows = cache.decode(slot_ids(running), fed, positions, least)
        for number, token in zip(running, fed, strict=True):
            tokens[number].append(token)
        assert told(rows) == [logits_after(tokens[number]) for number in running]
        assert [cache.held(slot) for slot in SLOTS] == [len(held) for held in tokens]
