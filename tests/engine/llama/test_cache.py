"""KV caches over a scripted library: contents of sequences, batching, padding and id swaps."""

from collections.abc import Iterable
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.core.backend import MAX_RUN, Logits
from friendli_endpoint.engine.llama.bindings import FLASH_ATTENTION_OFF, FLASH_ATTENTION_ON
from friendli_endpoint.engine.llama.cache import DecodeError, KVCache
from friendli_endpoint.engine.llama.model import ModelError
from friendli_endpoint.engine.llama.threads import BatchThreads
from tests.engine.llama.scripted_llama import SIZE, ScriptedLibrary, logits_after, model_of
from tests.engine.slot_ids import slot_ids

SEQUENCES, CONTEXT = 6, 600
A, B, C, D, E, F = SLOTS = slot_ids(range(SEQUENCES))


@pytest.fixture
def library() -> ScriptedLibrary:
    return ScriptedLibrary()


@pytest.fixture
def cache(library: ScriptedLibrary) -> KVCache:
    return opened(library)


def opened(
    library: ScriptedLibrary,
    *,
    sequences: int = SEQUENCES,
    flash: bool = False,
    max_sequences: int | None = None,
    has_windows: bool = False,
    weight_bytes: int = 1 << 20,
) -> KVCache:
    model = model_of(
        library, max_sequences=max_sequences, has_windows=has_windows, weight_bytes=weight_bytes
    )
    return KVCache(model, sequences, CONTEXT, 3, flash, 64)


def values(rows: Iterable[Logits]) -> list[list[float]]:
    return [row.tolist() for row in rows]


@pytest.mark.parametrize(
    ("flash", "kind"), [(True, FLASH_ATTENTION_ON), (False, FLASH_ATTENTION_OFF)]
)
def test_the_context_has_a_separate_cache_for_every_sequence(
    library: ScriptedLibrary, flash: bool, kind: int
) -> None:
    opened(library, flash=flash)
    params = library.params
    assert (params.n_seq_max, params.n_ctx, params.kv_unified) == (SEQUENCES, 3600, False)
    assert (params.n_batch, params.n_ubatch, params.n_outputs_max) == (64, 64, MAX_RUN)
    assert (params.n_threads, params.n_threads_batch, params.flash_attn_type) == (3, 3, kind)


class CountedThreads(BatchThreads):
    """Records the work of batches, and computes each with one more thread than the one before."""

    def __init__(self) -> None:
        super().__init__(5)
        self.works: list[float] = []
        self.num_ended = 0

    def begin(self, work: float) -> int:
        self.works.append(work)
        return len(self.works)

    def end(self) -> None:
        self.num_ended += 1


def test_threads_are_chosen_for_each_batch_by_its_work(library: ScriptedLibrary) -> None:
    threads = CountedThreads()
    model = model_of(library, weight_bytes=1000)
    cache = KVCache(model, SEQUENCES, CONTEXT, threads, False, 64)
    assert library.params.n_threads == library.params.n_threads_batch == 5
    cache.append(A, [1, 2, 3], 0, False)
    cache.append(B, [1], 0, False)
    cache.decode([A, B], [1, 2], [3, 1], 1)
    per_token = model.kv_bytes_per_token
    assert threads.works == [3000 + 3 * per_token, 1000, 2000 + 4 * per_token]
    assert library.threads == [1, 2, 3]
    library.results["decode"] = -1
    with pytest.raises(DecodeError):
        cache.append(C, [1], 0, False)
    assert threads.num_ended == 4, "a failed batch ends, too"


def test_a_fixed_number_of_threads_is_never_changed(
    cache: KVCache, library: ScriptedLibrary
) -> None:
    cache.append(A, [1, 2, 3], 0, False)
    assert library.threads == []


def test_a_context_that_does_not_fit_into_memory_is_an_error(library: ScriptedLibrary) -> None:
    library.results["init"] = 0
    with pytest.raises(ModelError, match="6 sequences of 600 tokens; lower --max-sequences"):
        opened(library)


def test_closing_twice_frees_the_context_once(cache: KVCache, library: ScriptedLibrary) -> None:
    cache.close()
    cache.close()
    assert library.freed == 1


def test_tokens_are_appended_to_the_sequence_of_their_slot(
    cache: KVCache, library: ScriptedLibrary
) -> None:
    cache.append(B, [1, 2, 3], 0, False)
    cache.append(D, np.array([3], np.int32), 0, True)
    assert values(cache.logits(1)) == [logits_after([3])]
    cache.append(B, [0, 1, 2], 3, np.array([True, False, True]))
    assert values(cache.logits(2)) == [logits_after([1, 2, 3, 0]), logits_after([1, 2, 3, 0, 1, 2])]
    assert [cache.num_tokens(slot) for slot in SLOTS] == [0, 6, 0, 1, 0, 0]


def test_logits_are_in_the_order_of_the_slots(cache: KVCache, library: ScriptedLibrary) -> None:
    for slot in SLOTS:
        cache.append(slot, [slot % SIZE] * (slot + 1), 0, False)
    rows = cache.decode([D, A, C], [1, 2, 3], [4, 1, 3], 1)
    assert values(rows) == [
        logits_after([3, 3, 3, 3, 1]),
        logits_after([0, 2]),
        logits_after([2, 2, 2, 3]),
    ]
    assert library.batches[-1] == sorted(library.batches[-1]), "llama.cpp needs ascending ids"


def test_sequences_of_very_different_lengths_are_decoded_in_separate_batches(
    library: ScriptedLibrary,
) -> None:
    cache = opened(library, weight_bytes=100)
    for slot, length in ((A, 10), (B, 500), (C, 20)):
        cache.append(slot, [1] * min(length, 64), 0, False)
        for start in range(64, length, 64):
            cache.append(slot, [1] * min(64, length - start), start, False)
    library.batches.clear()
    rows = cache.decode([B, A, C], [0, 2, 3], [500, 10, 20], 1)
    assert sorted(map(len, library.batches)) == [1, 2]
    assert values(rows) == [
        logits_after([1] * 500 + [0]),
        logits_after([1] * 10 + [2]),
        logits_after([1] * 20 + [3]),
    ], "the second batch must not overwrite the logits of the first"


def test_a_batch_has_no_more_sequences_than_the_kernels_allow(library: ScriptedLibrary) -> None:
    cache = opened(library, max_sequences=2)
    rows = cache.decode(SLOTS[:5], [0, 1, 2, 3, 0], [0] * 5, 1)
    assert values(rows) == [logits_after([token]) for token in (0, 1, 2, 3, 0)]
    assert max(map(len, library.batches)) == 2
    assert sorted(chain.from_iterable(library.batches)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("slot", [A, C, F])
def test_a_batch_below_the_minimum_is_padded_with_a_token_that_is_removed(
    cache: KVCache, library: ScriptedLibrary, slot: int
) -> None:
    for slot_id in SLOTS:
        cache.append(slot_id, [slot_id % SIZE] * 3, 0, False)
    library.batches.clear()
    (row,) = cache.decode([SLOTS[slot]], [1], [3], 2)
    assert row.tolist() == logits_after([slot % SIZE] * 3 + [1])
    assert [len(batch) for batch in library.batches] == [2]
    expected = [[slot_id % SIZE] * 3 + [1] * (slot_id == slot) for slot_id in SLOTS]
    assert list(library.tokens.values()) == expected


def test_a_cache_of_one_sequence_does_not_pad_batches(library: ScriptedLibrary) -> None:
    cache = opened(library, sequences=1)
    (row,) = cache.decode([A], [1], [0], 2)
    assert row.tolist() == logits_after([1])
    assert library.batches == [[0]]


def test_sequences_that_run_together_get_contiguous_ids(library: ScriptedLibrary) -> None:
    cache = opened(library)
    for slot in SLOTS:
        cache.append(slot, [slot % SIZE] * (slot + 1), 0, False)
    for step in range(4):
        rows = cache.decode([A, F], [1, 2], [1 + step, 6 + step], 1)
        assert values(rows) == [
            logits_after([0] + [1] * (step + 1)),
            logits_after([1] * 6 + [2] * (step + 1)),
        ]
    first, second = library.batches[-1]
    assert second - first == 1
    assert library.saved, "two sequence ids were swapped"
    assert [cache.num_tokens(slot) for slot in SLOTS] == [5, 2, 3, 4, 5, 10]


def test_sequence_ids_are_not_swapped_in_models_with_sliding_windows(
    library: ScriptedLibrary,
) -> None:
    cache = opened(library, has_windows=True)
    for step in range(4):
        cache.decode([A, F], [1, 2], [step, step], 1)
    assert library.batches == [[0, 5]] * 4 and not library.saved


@pytest.mark.parametrize("has_windows", [False, True])
def test_a_copy_has_the_tokens_of_its_source_and_continues_independently(
    library: ScriptedLibrary, has_windows: bool
) -> None:
    cache = opened(library, has_windows=has_windows)
    cache.append(A, [1, 2, 3], 0, False)
    cache.append(C, [0] * 9, 0, False)
    cache.copy(A, C)
    assert library.copied == ([(0, 2)] if has_windows else [])
    cache.append(C, [3], 3, True)
    assert values(cache.logits(1)) == [logits_after([1, 2, 3, 3])]
    cache.append(A, [0], 3, True)
    assert values(cache.logits(1)) == [logits_after([1, 2, 3, 0])]


def test_truncating_removes_tokens_from_a_position_on(cache: KVCache) -> None:
    cache.append(A, [1, 2, 3], 0, False)
    cache.truncate(A, 5)
    assert cache.num_tokens(A) == 3
    cache.truncate(A, 1)
    cache.append(A, [0], 1, True)
    assert values(cache.logits(1)) == [logits_after([1, 0])]


def test_restoring_a_saved_state_replaces_a_sequence(cache: KVCache) -> None:
    cache.append(A, [1, 2, 3], 0, False)
    state = cache.save(A).copy()
    cache.append(B, [0] * 20, 0, False)
    assert len(cache.save(B)) > len(state)
    cache.restore(state, B)
    cache.append(B, [0], 3, True)
    assert values(cache.logits(1)) == [logits_after([1, 2, 3, 0])]
    assert len(cache.save(A)) == len(state), (
        "the state has the size of the sequence, not of the buffer"
    )


def test_adapters_are_set_only_if_they_change(cache: KVCache, library: ScriptedLibrary) -> None:
    assert cache.adapters == ()
    for adapters in ((5, 7), (5,), ()):
        cache.set_adapters(adapters)
        assert cache.adapters == adapters and library.adapters == [*adapters]
        cache.truncate(A, 0)
        cache.append(A, [1], 0, True)
        assert values(cache.logits(1)) == [logits_after([1], adapters)]
    library.adapters = [9]
    cache.set_adapters(())
    assert library.adapters == [9], "the same adapters are not set again"


def test_a_rejected_adapter_is_an_error_and_is_not_set(
    cache: KVCache, library: ScriptedLibrary
) -> None:
    library.results["adapters"] = -1
    with pytest.raises(DecodeError, match="rejects the adapter"):
        cache.set_adapters((5,))
    assert cache.adapters == ()


def test_a_batch_that_llama_cpp_does_not_decode_is_an_error(
    cache: KVCache, library: ScriptedLibrary
) -> None:
    with pytest.raises(DecodeError, match="returned -1 for a batch of 2 tokens"):
        cache.append(A, [1, 2], 5, False)
    library.results["decode"] = 1
    with pytest.raises(DecodeError, match="returned 1 for a batch of 3 tokens"):
        cache.decode([A, B, C], [0, 0, 0], [0, 0, 0], 1)


@pytest.mark.parametrize(("call", "message"), [("get", "cannot save"), ("set", "cannot restore")])
def test_a_state_that_is_not_copied_completely_is_an_error(
    cache: KVCache, library: ScriptedLibrary, call: str, message: str
) -> None:
    cache.append(A, [1, 2], 0, False)
    library.results[call] = 0
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
def test_every_sequence_continues_as_it_would_alone(
    steps: list[tuple[list[int], int, int]],
    lengths: list[int],
    max_sequences: int | None,
    weight_bytes: int,
) -> None:
    library = ScriptedLibrary()
    cache = opened(library, max_sequences=max_sequences, weight_bytes=weight_bytes)
    tokens = [[number % SIZE] * length for number, length in enumerate(lengths)]
    for slot, ids in zip(SLOTS, tokens, strict=True):
        if ids:
            cache.append(slot, ids, 0, False)
    for order, count, min_sequences in steps:
        running = order[:count]
        next_tokens = [len(tokens[number]) % SIZE for number in running]
        positions = [len(tokens[number]) for number in running]
        rows = cache.decode(slot_ids(running), next_tokens, positions, min_sequences)
        for number, token in zip(running, next_tokens, strict=True):
            tokens[number].append(token)
        assert values(rows) == [logits_after(tokens[number]) for number in running]
        assert [cache.num_tokens(slot) for slot in SLOTS] == [len(ids) for ids in tokens]
