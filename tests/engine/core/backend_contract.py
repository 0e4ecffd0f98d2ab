"""What every `Backend` promises to the engine, checked to the bit.

A test module gives the fixtures `subject` and `backend`, and has a class `Test...` inherit from
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
    MAX_RUN,
    AdapterError,
    Backend,
    Logits,
    SlotId,
    Tokens,
)
from tests.engine.slot_ids import slot_ids

SLOTS = 4
"""How many slots a backend is opened with."""

A, B, C, D = slot_ids(range(SLOTS))


@dataclass(frozen=True, eq=False)
class Subject:
    """A kind of backend.

    Attributes:
        open: Opens one with `SLOTS` slots.
        vocabulary_size: Number of logits.
        prompt: Token ids; each slot can hold as many, and `2 * MAX_RUN` more.
        cuts: Where the prompt may be cut into pieces; the first token of none is the last.
        adapters: Two files of adapters.
        not_adapters: Paths that are not adapters, or of no file.
    """

    open: Callable[[], Backend]
    vocabulary_size: int
    prompt: tuple[int, ...]
    cuts: Sequence[Sequence[int]]
    adapters: tuple[Path, Path]
    not_adapters: Sequence[Path]

    def other(self, token: int) -> int:
        """Another token than this one."""
        return (token + 1) % self.vocabulary_size


def ids(tokens: Sequence[int]) -> Tokens:
    """Tokens that may only be read."""
    array = np.array(tokens, np.int32)
    array.setflags(write=False)
    return array


def bits(rows: Sequence[Logits]) -> list[bytes]:
    """Logits as they are before the next call."""
    return [row.tobytes() for row in rows]


def prefilled(
    backend: Backend,
    slot: SlotId,
    tokens: Sequence[int],
    cuts: Sequence[int] = (),
    start: int = 0,
    adapter: int | None = None,
) -> bytes:
    """The bits of the logits after a prompt, of which a slot is to keep the start."""
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
    """The bits of the logits after each of some tokens, one at a time, alone."""
    rows: list[bytes] = []
    for position, token in enumerate(tokens, start):
        rows += bits(backend.decode([slot], [token], [position], adapter))
    return rows


@contextmanager
def loaded(backend: Backend, path: Path) -> Iterator[int]:
    """An adapter, freed when it is left."""
    adapter = backend.load_adapter(path)
    try:
        yield adapter
    finally:
        for slot in (A, B, C, D):
            backend.truncate(slot, 0)
        backend.free_adapter(adapter)


class BackendContract:
    """The promises, one by one."""

    def test_logits_are_of_the_vocabulary_in_single_precision(
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

    def test_logits_that_are_not_wanted_are_not_given(
        self, backend: Backend, subject: Subject
    ) -> None:
        length = len(subject.prompt)
        backend.truncate(A, 0)
        assert backend.prefill(A, ids(subject.prompt), 0, False, None) is None
        assert backend.extend(A, ids(range(5, 9)), length, False, None) is None
        unseen = decoded(backend, A, [7], length + 4)
        prefilled(backend, A, subject.prompt)
        backend.extend(A, ids(range(5, 9)), length, True, None)
        assert decoded(backend, A, [7], length + 4) == unseen, "to ask for them changes nothing"

    def test_a_prompt_of_one_token_has_logits(self, backend: Backend, subject: Subject) -> None:
        first = prefilled(backend, A, subject.prompt[:1])
        assert prefilled(backend, B, subject.prompt[:1]) == first

    def test_the_same_prompt_has_the_same_bits_in_every_slot(
        self, backend: Backend, subject: Subject
    ) -> None:
        first, *others = (prefilled(backend, slot, subject.prompt) for slot in (A, B, C, D))
        assert others == [first] * 3
        assert prefilled(backend, A, subject.prompt) == first, "whatever a slot held before"
        changed = (*subject.prompt[:-1], subject.other(subject.prompt[-1]))
        assert prefilled(backend, A, changed) != first

    def test_a_prompt_in_pieces_has_the_bits_of_a_whole_one(
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
    def test_a_run_has_a_row_for_each_token(
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

    def test_a_slot_goes_on_alone_as_it_does_beside_others(
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

    def test_a_copy_goes_on_with_the_bits_of_its_source(
        self, backend: Backend, subject: Subject
    ) -> None:
        length = len(subject.prompt)
        for held in (subject.prompt[:9], subject.prompt[::-1], subject.prompt):
            prefilled(backend, A, subject.prompt)
            prefilled(backend, C, held)
            backend.copy(A, C)
            expected = decoded(backend, A, [5, 6], length)
            assert decoded(backend, C, [5, 6], length) == expected

    def test_a_copy_and_its_source_go_on_apart(self, backend: Backend, subject: Subject) -> None:
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

    def test_what_is_truncated_might_never_have_been(
        self, backend: Backend, subject: Subject
    ) -> None:
        prompt, length = subject.prompt, len(subject.prompt)
        for kept in (length - 2, length // 2, 9):
            other = [*prompt[:kept], *map(subject.other, prompt[kept:])]
            whole = prefilled(backend, A, prompt, [kept])
            following = decoded(backend, A, [5, 6], length)
            prefilled(backend, B, other)
            assert prefilled(backend, B, prompt, start=kept) == whole
            assert decoded(backend, B, [5, 6], length) == following

    def test_what_was_generated_can_be_dropped(self, backend: Backend, subject: Subject) -> None:
        length = len(subject.prompt)
        prefilled(backend, A, subject.prompt)
        first = decoded(backend, A, [5, 6, 7], length)
        backend.truncate(A, length)
        assert decoded(backend, A, [5, 6, 7], length) == first
        backend.truncate(A, length + 1)
        backend.extend(A, ids(range(9, 13)), length + 1, True, None)
        backend.truncate(A, length + 1)
        assert decoded(backend, A, [6, 7], length + 1) == first[1:]

    def test_truncating_what_is_shorter_changes_nothing(
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

    def test_first_positions_have_the_bits_of_a_prompt_however_they_are_computed(
        self, backend: Backend, subject: Subject
    ) -> None:
        batch_invariant_positions = backend.batch_invariant_positions
        assert batch_invariant_positions >= 0
        length = min(len(subject.prompt), batch_invariant_positions)
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

    def test_an_adapter_changes_no_bit_of_the_model_as_it_is(
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

    def test_freeing_one_adapter_leaves_the_others(
        self, backend: Backend, subject: Subject
    ) -> None:
        first, second = subject.adapters
        with loaded(backend, second) as stays:
            expected = prefilled(backend, A, subject.prompt, adapter=stays)
            with loaded(backend, first) as leaves:
                assert leaves != stays
                prefilled(backend, B, subject.prompt, adapter=leaves)
            assert prefilled(backend, A, subject.prompt, adapter=stays) == expected

    def test_what_is_not_an_adapter_costs_nothing_else(
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
                with pytest.raises(AdapterError) as refused:
                    backend.load_adapter(path)
                assert str(refused.value)
            assert decoded(backend, A, [5, 6], length) == plain
            assert decoded(backend, B, [5, 6], length, adapter) == changed

    def test_a_backend_may_be_closed_twice_and_another_one_opened(
        self, backend: Backend, subject: Subject
    ) -> None:
        expected = prefilled(backend, A, subject.prompt)
        for _ in range(2):
            with closing(subject.open()) as other:
                assert prefilled(other, B, subject.prompt) == expected
                other.close()
        assert prefilled(backend, A, subject.prompt) == expected, "those that are open stay so"
