"""The next tokens of the choices that run: one each, or several where they are known or guessed."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import eq

import numpy as np

from friendli_endpoint.engine.core.backend import MAX_RUN, Backend, Logits, SlotId
from friendli_endpoint.engine.core.fast_forward import SHORTEST_RUN, FastForward
from friendli_endpoint.engine.core.running import Outcome, Running, attempt, look_ahead

__all__ = ["Decoding"]


class Decoding:
    """Computes logits, and has choices take tokens by them.

    Args:
        piece: Most forced tokens in a turn, if no run of them is longer.
        drafts: Whether a choice that runs alone may be drafted, where that changes no bit.
    """

    def __init__(self, piece: int, drafts: bool) -> None:
        self._drafted = self._accepted = 0
        self._drafts = drafts
        self._forced = FastForward(max(piece, MAX_RUN))
        self._guides = ThreadPoolExecutor(1, thread_name_prefix="guides")

    def step(
        self, backend: Backend, running: Mapping[SlotId, Running], slots: Sequence[SlotId]
    ) -> Iterator[tuple[SlotId, Outcome]]:
        """The next tokens of each choice.

        Args:
            backend: Holds the sequences.
            running: The choices by slot. Before the next is asked for, one that has ended must be
                taken out, and with one that has failed its siblings.
            slots: Whose turn it is; all are in `running`.

        Yields:
            A slot, and what came of its turn; nothing of those whose forced tokens must wait.
        """
        for slot in slots:
            running[slot].ask_fast_forward()
        forced = {slot: len(running[slot].forced) for slot in slots}
        runs = {slot: count for slot, count in forced.items() if count >= SHORTEST_RUN}
        for slot in self._forced.due(runs):
            if slot in running:
                yield slot, self._follow(backend, slot, running[slot])
        others = {slot: running[slot] for slot in slots if slot in running and slot not in runs}
        if self._drafts and len(slots) == len(others) == 1:
            yield from self._draft(backend, running, slots[0])
        else:
            yield from self._decode(backend, running, others)

    def count_drafts(self) -> tuple[int, int]:
        """Tokens that were drafted since this was asked, and those of them that were drawn."""
        counts, self._drafted, self._accepted = (self._drafted, self._accepted), 0, 0
        return counts

    def close(self) -> None:
        """Ends the thread that asks guides."""
        self._guides.shutdown()

    @staticmethod
    def _follow(backend: Backend, slot: SlotId, one: Running) -> Outcome:
        """Computes what is forced, but for its last token, which the next turn decodes."""
        outputs = one.sequence.group.request.top_logprobs is not None
        return attempt(one.follow, _extend(backend, slot, one, one.forced[:-1], outputs))

    def _draft(
        self, backend: Backend, running: Mapping[SlotId, Running], slot: SlotId
    ) -> Iterator[tuple[SlotId, Outcome]]:
        """Computes what is guessed to come, as far as that gives the bits of one at a time."""
        one = running[slot]
        draft = one.draft(backend.batch_invariant_positions)
        if not draft:
            yield from self._decode(backend, running, {slot: one})
            return
        generated = len(one.tokens)
        outcome = attempt(one.take, _extend(backend, slot, one, draft, True), draft)
        self._drafted += len(draft)
        self._accepted += sum(map(eq, draft, one.tokens[generated:]))
        yield slot, outcome
        if slot in running:
            backend.truncate(slot, one.position)

    def _decode(
        self, backend: Backend, running: Mapping[SlotId, Running], turn: Mapping[SlotId, Running]
    ) -> Iterator[tuple[SlotId, Outcome]]:
        """A token for each choice; those of one adapter share a batch."""
        ahead = [one for one in turn.values() if one.looks_ahead]
        looking = self._guides.submit(look_ahead, ahead) if ahead else None
        batches: dict[int | None, list[SlotId]] = {}
        for slot, one in turn.items():
            batches.setdefault(one.adapter, []).append(slot)
        for adapter, slots in batches.items():
            tokens = [turn[slot].tokens[-1] for slot in slots]
            positions = [turn[slot].position for slot in slots]
            rows = backend.decode(slots, tokens, positions, adapter)
            if looking is not None:
                looking.result()
            for slot, logits in zip(slots, rows, strict=True):
                if slot in running:
                    yield slot, attempt(turn[slot].take, [logits])


def _extend(
    backend: Backend, slot: SlotId, one: Running, ahead: Sequence[int], outputs: bool
) -> Sequence[Logits]:
    """Computes a choice's last token, and what comes or may come after it."""
    tokens = np.array([one.tokens[-1], *ahead], np.int32)
    return backend.extend(slot, tokens, one.position, outputs, one.adapter) or ()
