"""Contract tests of every `Backend`, exact to the bit.

A test module defines the fixtures `subject` and `backend`, and has a class `Test...` inherit from
`BackendContract`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from friendli_endpoint.engine.core.backend import (
    BLOCK_TOKENS,
    MAX_RUN,
    AdapterError,
    Backend,
    Logits,
    SlotId,
    Tokens,
)
from tests.engine.slot_ids import slot_ids

SLOTS = 4
"""Number of slots of every backend."""

A, B, C, D = slot_ids(range(SLOTS))


@dataclass(frozen=True, eq=False)
class Subject:
    """Backend under test.

    Attributes:
        open: Opens a backend with `SLOTS` slots.
        vocabulary_size: Number of logits.
        prompt: Token ids; each slot can store as many, and `2 * MAX_RUN` more.
        cuts: Positions where the prompt may be cut into chunks; no chunk starts at the last token.
        adapters: Two files of adapters.
        not_adapters: Paths of files that are not adapters, or do not exist.
    """

    open: Callable[[], Backend]
    vocabulary_size: int
    prompt: tuple[int, ...]
    cuts: Sequence[Sequence[int]]
    adapters: tuple[Path, Path]
    not_adapters: Sequence[Path]

    def changed(self, token: int) -> int:
        """Returns a different token."""
        return (token + 1) % self.vocabulary_size


def ids(tokens: Sequence[int]) -> Tokens:
    """Returns a read-only token array."""
    array = np.array(tokens, np.int32)
    array.setflags(write=False)
    return array


def bits(rows: Sequence[Logits]) -> list[bytes]:
    """Copies the bits of logits, which the next call invalidates."""
    return [row.tobytes() for row in rows]


def prefilled(
    backend: Backend,
    slot: SlotId,
    tokens: Sequence[int],
    cuts: Sequence[int] = (),
    start: int = 0,
    adapter: int | None = None,
) -> bytes:
    """Prefills a prompt from position `start` on; returns the bits of the logits after it."""
    backend.truncate(slot, start)
    logits: Logits | None = None
    for first, end in pairwise([start, *cuts, len(tokens)]):
        wanted = end == len(tokens)
        logits = backend.prefill(slot, ids(tokens[first:end]), first, wanted, adapter)
        assert (logits is not None) == wanted
    assert logits is not None
    return logits.tobytes()


def decoded(
    backend: Backend,
    slot: SlotId,
    tokens: Sequence[int],
    start: int,
    adapter: int | None = None,
) -> list[bytes]:
    """Decodes tokens one at a time, alone; returns the bits of the logits after each of them."""
    rows: list[bytes] = []
    for position, token in enumerate(tokens, start):
        rows += bits(backend.decode([slot], [token], [position], adapter))
    return rows


@contextmanager
def loaded(backend: Backend, path: Path) -> Iterator[int]:
    """Loads an adapter, and frees it on exit."""
    adapter = backend.load_adapter(path)
    try:
        yield adapter
    finally:
        for slot in (A, B, C, D):
            backend.truncate(slot, 0)
        backend.free_adapter(adapter)


class BackendContract:
    """One test for each property of the contract."""

    def test_logits_are_float32_of_the_size_of_the_vocabulary(
        self, backend: Backend, subject: Subject
    ) -> None:
        shape, single = (subject.vocabulary_size,), np.dtype(np.float32)
        length = len(subject.prompt)
        backend.truncate(A, 0)
        logits = backend.prefill(A, ids(subject.prompt), 0, True, None)
        assert logits is not None
        assert (logits.shape, logits.dtype) == (shape, single)
        assert np.isfinite(logits).all()
        (row,) = backend.decode([A], [5], [length], None)
        assert (row.shape, row.dtype) == (shape, single)
        rows = backend.extend(A, ids(range(5, 9)), length + 1, True, None)
        assert rows is not None
        assert [(row.shape, row.dtype) for row in rows] == [(shape, single)] * 4

    def test_logits_are_returned_only_if_they_are_requested(
        self, backend: Backend, subject: Subject
    ) -> None:
        length = len(subject.prompt)
        backend.truncate(A, 0)
        assert backend.prefill(A, ids(subject.prompt), 0, False, None) is None
        assert backend.extend(A, ids(range(5, 9)), length, False, None) is None
        unseen = decoded(backend, A, [7], length + 4)
        prefilled(backend, A, subject.prompt)
        backend.extend(A, ids(range(5, 9)), length, True, None)
        assert decoded(backend, A, [7], length + 4) == unseen, "requesting them changes no bit"

    def test_a_prompt_of_one_token_has_logits(self, backend: Backend, subject: Subject) -> None:
        first = prefilled(backend, A, subject.prompt[:1])
        assert prefilled(backend, B, subject.prompt[:1]) == first

    def test_the_same_prompt_has_the_same_bits_in_every_slot(
        self, backend: Backend, subject: Subject
    ) -> None:
        first, *others = (prefilled(backend, slot, subject.prompt) for slot in (A, B, C, D))
        assert others == [first] * 3
        assert prefilled(backend, A, subject.prompt) == first, "whatever it contained"
        changed = (*subject.prompt[:-1], subject.changed(subject.prompt[-1]))
        assert prefilled(backend, A, changed) != first

    def test_a_prompt_in_chunks_has_the_bits_of_a_whole_one(
        self, backend: Backend, subject: Subject
    ) -> None:
        whole = prefilled(backend, A, subject.prompt)
        for cuts in subject.cuts:
            assert prefilled(backend, B, subject.prompt, cuts) == whole

    def test_tokens_are_only_read_during_the_call(self, backend: Backend, subject: Subject) -> None:
        length = len(subject.prompt)
        prefilled(backend, A, subject.prompt)
        expected = decoded(backend, A, [5], length)
        tokens = np.array(subject.prompt, np.int32)
        backend.truncate(B, 0)
        backend.prefill(B, tokens, 0, False, None)
        assert tokens.tolist() == list(subject.prompt)
        tokens.fill(0)
        assert decoded(backend, B, [5], length) == expected

    @pytest.mark.parametrize("count", [2, 4, 9, MAX_RUN])
    def test_extend_returns_a_row_for_each_token(
        self, backend: Backend, subject: Subject, count: int
    ) -> None:
        length, run = len(subject.prompt), list(range(5, 5 + count))
        prefilled(backend, A, subject.prompt)
        rows = backend.extend(A, ids(run), length, True, None)
        assert rows is not None and len(rows) == count
        expected = bits(rows)
        assert len(set(expected)) == count
        after = decoded(backend, A, [7], length + count)
        prefilled(backend, C, subject.prompt[:9])
        prefilled(backend, B, subject.prompt)
        rows = backend.extend(B, ids(run), length, True, None)
        assert rows is not None and bits(rows) == expected, "the same in every slot"
        assert decoded(backend, B, [7], length + count) == after

    def test_rows_of_a_batch_are_in_the_order_of_its_slots(
        self, backend: Backend, subject: Subject
    ) -> None:
        length = len(subject.prompt)
        starts = {A: length, B: length - 9, C: 9, D: length}
        tokens = {A: 5, B: 6, C: 7, D: 8}
        alone: dict[SlotId, bytes] = {}
        for slot, start in starts.items():
            prefilled(backend, slot, subject.prompt[:start])
            (alone[slot],) = decoded(backend, slot, [tokens[slot]], start)
        assert len(set(alone.values())) == SLOTS
        for batch in ([A, B, C, D], [D, A], [C, B, A], [B]):
            for slot in batch:
                prefilled(backend, slot, subject.prompt[: starts[slot]])
            rows = backend.decode(
                batch, [tokens[slot] for slot in batch], [starts[slot] for slot in batch], None
            )
            assert bits(rows) == [alone[slot] for slot in batch]

    def test_a_sequence_has_the_same_bits_alone_and_in_a_batch(
        self, backend: Backend, subject: Subject
    ) -> None:
        length, tokens = len(subject.prompt), [5, 6, 7, 8]
        prefilled(backend, A, subject.prompt)
        alone = decoded(backend, A, tokens, length)
        for slot, start in ((B, 9), (C, length), (D, length - 9)):
            prefilled(backend, slot, subject.prompt[:start])
        prefilled(backend, A, subject.prompt)
        lengths = {A: length, B: 9, C: length, D: length - 9}
        for step, token in enumerate(tokens):
            batch = ([A], [B, A], [C, A, D], [D, C, B, A])[step]
            given = [token if slot == A else 9 for slot in batch]
            rows = backend.decode(batch, given, [lengths[slot] for slot in batch], None)
            assert bits(rows)[batch.index(A)] == alone[step]
            for slot in batch:
                lengths[slot] += 1

    def test_a_copy_continues_with_the_bits_of_its_source(
        self, backend: Backend, subject: Subject
    ) -> None:
        length = len(subject.prompt)
        for contents in (subject.prompt[:9], subject.prompt[::-1], subject.prompt):
            prefilled(backend, A, subject.prompt)
            prefilled(backend, C, contents)
            backend.copy(A, C)
            expected = decoded(backend, A, [5, 6], length)
            assert decoded(backend, C, [5, 6], length) == expected

    def test_a_copy_and_its_source_are_independent(
        self, backend: Backend, subject: Subject
    ) -> None:
        length = len(subject.prompt)
        prefilled(backend, A, subject.prompt)
        expected = decoded(backend, A, [5, 6], length)
        prefilled(backend, A, subject.prompt)
        backend.copy(A, B)
        decoded(backend, B, [9, 9, 9], length)
        assert decoded(backend, A, [5, 6], length) == expected
        backend.truncate(A, 0)
        backend.truncate(B, length)
        assert decoded(backend, B, [5, 6], length) == expected

    def test_truncated_tokens_of_a_prompt_leave_no_trace(
        self, backend: Backend, subject: Subject
    ) -> None:
        prompt, length = subject.prompt, len(subject.prompt)
        for kept in (length - 2, length // 2, 9):
            changed = [*prompt[:kept], *map(subject.changed, prompt[kept:])]
            whole = prefilled(backend, A, prompt, [kept])
            following = decoded(backend, A, [5, 6], length)
            prefilled(backend, B, changed)
            assert prefilled(backend, B, prompt, start=kept) == whole
            assert decoded(backend, B, [5, 6], length) == following

    def test_truncated_output_leaves_no_trace(self, backend: Backend, subject: Subject) -> None:
        length = len(subject.prompt)
        prefilled(backend, A, subject.prompt)
        first = decoded(backend, A, [5, 6, 7], length)
        backend.truncate(A, length)
        assert decoded(backend, A, [5, 6, 7], length) == first
        backend.truncate(A, length + 1)
        backend.extend(A, ids(range(9, 13)), length + 1, True, None)
        backend.truncate(A, length + 1)
        assert decoded(backend, A, [6, 7], length + 1) == first[1:]

    def test_truncating_a_shorter_sequence_changes_nothing(
        self, backend: Backend, subject: Subject
    ) -> None:
        length = len(subject.prompt)
        prefilled(backend, A, subject.prompt)
        expected = decoded(backend, A, [5], length)
        prefilled(backend, A, subject.prompt)
        backend.truncate(A, length + 8)
        assert decoded(backend, A, [5], length) == expected
        backend.truncate(B, 0)
        backend.truncate(B, 0)
        backend.truncate(B, 8)
        assert prefilled(backend, B, subject.prompt) == prefilled(backend, A, subject.prompt)

    def test_batch_invariant_positions_have_the_same_bits_in_prefill_decode_and_extend(
        self, backend: Backend, subject: Subject
    ) -> None:
        invariant = backend.batch_invariant_positions
        assert invariant >= 0
        length = min(len(subject.prompt), invariant)
        if length < MAX_RUN:
            return
        prompt, start = subject.prompt[:length], length - MAX_RUN
        whole = prefilled(backend, A, prompt)
        prefilled(backend, B, prompt[:start])
        rows = decoded(backend, B, prompt[start:], start)
        assert rows[-1] == whole
        prefilled(backend, C, prompt[:start])
        run = backend.extend(C, ids(prompt[start:]), start, True, None)
        assert run is not None and bits(run) == rows

    def test_a_restored_prefix_continues_with_the_bits_of_the_saved_one(
        self, backend: Backend, subject: Subject
    ) -> None:
        block_format, prompt = backend.block_format, self.long_prompt(subject)
        assert block_format is not None
        whole = prefilled(backend, A, prompt)
        following = decoded(backend, A, [5, 6], len(prompt))
        prefilled(backend, B, prompt)
        decoded(backend, B, [9, 9], len(prompt))
        saved = backend.save(B)
        blocks = [saved(index) for index in range(len(prompt) // BLOCK_TOKENS)]
        assert [(block.size, block.dtype) for block in blocks] == [
            (block_format.num_bytes, np.dtype(np.uint8))
        ] * len(blocks)
        assert decoded(backend, B, [5], len(prompt) + 2), "the saved slot stays as it is"
        for number in range(1, len(blocks) + 1):
            for contents in (subject.prompt[:9], prompt[::-1]):
                prefilled(backend, C, contents)
                prefilled(backend, D, prompt[:9])
                backend.restore(C, blocks[:number])
                start = number * BLOCK_TOKENS
                again = backend.save(C)
                assert [again(index).tobytes() for index in range(number)] == [
                    block.tobytes() for block in blocks[:number]
                ]
                assert prefilled(backend, C, prompt, start=start) == whole
                assert decoded(backend, C, [5, 6], len(prompt)) == following

    def test_a_prefix_that_was_computed_with_an_adapter_can_be_restored(
        self, backend: Backend, subject: Subject
    ) -> None:
        prompt = self.long_prompt(subject)
        with loaded(backend, subject.adapters[0]) as adapter:
            whole = prefilled(backend, A, prompt, adapter=adapter)
            first = backend.save(A)(0)
            backend.restore(D, [first])
            assert prefilled(backend, D, prompt, start=BLOCK_TOKENS, adapter=adapter) == whole

    @staticmethod
    def long_prompt(subject: Subject) -> tuple[int, ...]:
        """Returns a prompt of at least one block and nine tokens."""
        return (subject.prompt * (BLOCK_TOKENS // len(subject.prompt) + 2))[
            : max(len(subject.prompt), BLOCK_TOKENS + 9)
        ]

    def test_an_adapter_changes_no_bit_of_the_base_model(
        self, backend: Backend, subject: Subject
    ) -> None:
        length = len(subject.prompt)
        expected = prefilled(backend, A, subject.prompt)
        following = decoded(backend, A, [5], length)
        with loaded(backend, subject.adapters[0]) as adapter:
            prefilled(backend, A, subject.prompt)
            changed = prefilled(backend, B, subject.prompt, adapter=adapter)
            further = decoded(backend, B, [5], length, adapter)
            assert decoded(backend, A, [5], length) == following
            assert prefilled(backend, C, subject.prompt) == expected
            assert prefilled(backend, D, subject.prompt, adapter=adapter) == changed
            assert decoded(backend, D, [5], length, adapter) == further
        assert prefilled(backend, A, subject.prompt) == expected
        assert decoded(backend, A, [5], length) == following

    def test_freeing_an_adapter_changes_no_bit_of_another(
        self, backend: Backend, subject: Subject
    ) -> None:
        first, second = subject.adapters
        with loaded(backend, second) as stays:
            expected = prefilled(backend, A, subject.prompt, adapter=stays)
            with loaded(backend, first) as freed:
                assert freed != stays
                prefilled(backend, B, subject.prompt, adapter=freed)
            assert prefilled(backend, A, subject.prompt, adapter=stays) == expected

    def test_a_file_that_is_not_an_adapter_changes_no_slot(
        self, backend: Backend, subject: Subject
    ) -> None:
        length = len(subject.prompt)
        with loaded(backend, subject.adapters[0]) as adapter:
            prefilled(backend, A, subject.prompt)
            prefilled(backend, B, subject.prompt, adapter=adapter)
            plain = decoded(backend, A, [5, 6], length)
            changed = decoded(backend, B, [5, 6], length, adapter)
            prefilled(backend, A, subject.prompt)
            prefilled(backend, B, subject.prompt, adapter=adapter)
            for path in subject.not_adapters:
                with pytest.raises(AdapterError) as caught:
                    backend.load_adapter(path)
                assert str(caught.value)
            assert decoded(backend, A, [5, 6], length) == plain
            assert decoded(backend, B, [5, 6], length, adapter) == changed

    def test_a_backend_can_be_closed_twice_and_another_one_opened(
        self, backend: Backend, subject: Subject
    ) -> None:
        expected = prefilled(backend, A, subject.prompt)
        for _ in range(2):
            with closing(subject.open()) as second:
                assert prefilled(second, B, subject.prompt) == expected
                second.close()
        assert prefilled(backend, A, subject.prompt) == expected, "the first one stays open"
