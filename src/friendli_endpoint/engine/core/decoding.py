"""Decoding: the next token of each running choice, or several from fast-forward or a draft."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import eq

import numpy as np

from friendli_endpoint.engine.core.backend import MAX_RUN, Backend, Logits, SlotId
from friendli_endpoint.engine.core.fast_forward import MIN_RUN, FastForward
from friendli_endpoint.engine.core.running import (
    Outcome,
    RunningSequence,
    attempt,
    query_fast_forward,
    query_guides,
)

__all__ = ["Decoding"]


class Decoding:
    """Computes logits of running choices, and makes the choices take tokens from them.

    Args:
        max_fast_forward: Maximum number of fast-forward tokens in a step, or `MAX_RUN` if that is
            more.
        drafts: Whether to draft for a choice that runs alone, where that does not change a bit.
    """

    def __init__(self, max_fast_forward: int, drafts: bool) -> None:
        self._drafted = self._accepted = 0
        self._drafts = drafts
        self._fast_forward = FastForward(max(max_fast_forward, MAX_RUN))
        self._guides = ThreadPoolExecutor(1, thread_name_prefix="guides")

    def step(
        self, backend: Backend, running: Mapping[SlotId, RunningSequence], slots: Sequence[SlotId]
    ) -> Iterator[tuple[SlotId, Outcome]]:
        """Decodes one step of the given choices.

        Args:
            backend: The backend.
            running: The running choices by slot. The caller removes a choice that has finished, and
                a failed one with all choices of its request, before it asks for the next item.
            slots: The slots to decode; all are in `running`.

        Yields:
            A slot and the outcome of its step; none for slots whose fast-forward tokens must wait.
        """
        self._query_fast_forward([running[slot] for slot in slots])
        counts = {slot: len(running[slot].fast_forward_tokens) for slot in slots}
        runs = {slot: count for slot, count in counts.items() if count >= MIN_RUN}
        for slot in self._fast_forward.due(runs):
            if slot in running:
                yield slot, self._compute_run(backend, slot, running[slot])
        others = {slot: running[slot] for slot in slots if slot in running and slot not in runs}
        if self._drafts and len(slots) == len(others) == 1:
            yield from self._draft(backend, running, slots[0])
        else:
            yield from self._decode(backend, running, others)
        # The answers are ready when the next step begins, unless they take longer than delivery.
        ahead = [running[slot] for slot in slots if slot in running and running[slot].looks_ahead]
        if ahead:
            self._guides.submit(query_fast_forward, ahead)

    def query_guides(self, sequences: Sequence[RunningSequence]) -> None:
        """Asks the guides of sequences about their next token, slow ones on the worker thread."""
        ahead = [sequence for sequence in sequences if sequence.looks_ahead]
        if ahead:
            self._guides.submit(query_guides, ahead).result()

    def take_draft_counts(self) -> tuple[int, int]:
        """Returns the numbers of drafted and of accepted tokens, and resets them to 0."""
        counts, self._drafted, self._accepted = (self._drafted, self._accepted), 0, 0
        return counts

    def close(self) -> None:
        """Ends the worker thread that queries guides."""
        self._guides.shutdown()

    def _query_fast_forward(self, sequences: Sequence[RunningSequence]) -> None:
        """Asks for fast-forward tokens; a slow guide takes none of this thread's time.

        For a constant of 8,192 bytes, a guide takes 6 ms.
        """
        ahead = [sequence for sequence in sequences if sequence.looks_ahead]
        if ahead:
            self._guides.submit(query_fast_forward, ahead).result()
        query_fast_forward(sequence for sequence in sequences if not sequence.looks_ahead)

    @staticmethod
    def _compute_run(backend: Backend, slot: SlotId, running: RunningSequence) -> Outcome:
        """Computes all fast-forward tokens but the last one, which the next step decodes."""
        outputs = running.sequence.group.request.top_logprobs is not None
        rows = _extend(backend, slot, running, running.fast_forward_tokens[:-1], outputs)
        return attempt(running.fast_forward, rows)

    def _draft(
        self, backend: Backend, running: Mapping[SlotId, RunningSequence], slot: SlotId
    ) -> Iterator[tuple[SlotId, Outcome]]:
        """Computes a draft, where that gives the same bits as one token at a time."""
        sequence = running[slot]
        draft = sequence.propose_draft(backend.batch_invariant_positions)
        if not draft:
            yield from self._decode(backend, running, {slot: sequence})
            return
        generated = len(sequence.tokens)
        rows = _extend(backend, slot, sequence, draft, True)
        outcome = attempt(sequence.sample_tokens, rows, draft)
        self._drafted += len(draft)
        self._accepted += sum(map(eq, draft, sequence.tokens[generated:]))
        yield slot, outcome
        if slot in running:
            backend.truncate(slot, sequence.position)

    def _decode(
        self,
        backend: Backend,
        running: Mapping[SlotId, RunningSequence],
        sequences: Mapping[SlotId, RunningSequence],
    ) -> Iterator[tuple[SlotId, Outcome]]:
        """Decodes one token of each choice; choices with the same adapter share a batch."""
        ahead = [sequence for sequence in sequences.values() if sequence.looks_ahead]
        queried = self._guides.submit(query_guides, ahead) if ahead else None
        batches: dict[int | None, list[SlotId]] = {}
        for slot, sequence in sequences.items():
            batches.setdefault(sequence.adapter, []).append(slot)
        for adapter, slots in batches.items():
            tokens = [sequences[slot].tokens[-1] for slot in slots]
            positions = [sequences[slot].position for slot in slots]
            rows = backend.decode(slots, tokens, positions, adapter)
            if queried is not None:
                queried.result()
            for slot, logits in zip(slots, rows, strict=True):
                if slot in running:
                    yield slot, attempt(sequences[slot].sample_tokens, [logits])


def _extend(
    backend: Backend,
    slot: SlotId,
    sequence: RunningSequence,
    ahead: Sequence[int],
    outputs: bool,
) -> Sequence[Logits]:
    """Computes the last token of a choice, and the tokens that come or may come after it."""
    tokens = np.array([sequence.tokens[-1], *ahead], np.int32)
    return backend.extend(slot, tokens, sequence.position, outputs, sequence.adapter) or ()
