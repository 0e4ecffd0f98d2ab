"""Prefix cache: the contents of all slots, and the choice of a slot for a prompt.

A slot stores one sequence. The tokens of a finished request stay in its slot until the slot is
needed, least recently used first. A later prompt with the same prefix starts from them: in place if
hardly any other tokens are lost by that, else from a copy.

Only tokens that have the bits of prefilled ones count as computed. A generated token was computed
alone, which gives other bits except at the first positions (see `engine/llama/context.py`). Since
an output must not depend on earlier requests, generated tokens are prefilled again when the engine
is idle.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from friendli_endpoint.engine.core.backend import SlotId, Tokens
from friendli_endpoint.engine.core.disk.store import StoredPrefix

__all__ = ["FindStored", "PrefixCache", "Slot", "SlotClaim", "common_prefix_length"]

FindStored = Callable[[Tokens, Hashable, int], StoredPrefix | None]
"""Returns the longest stored prefix of a prompt, given the prompt, its adapter and the number of
its leading tokens that are in a slot; None if reading it would save no time."""

MIN_CACHED = 8
"""Shorter common prefixes are faster to compute again than to copy."""

EMPTY: Tokens = np.empty(0, np.int32)


def common_prefix_length(first: Tokens, second: Tokens) -> int:
    """Returns the length of the common prefix of two sequences of shape (length,)."""
    length = min(first.size, second.size)
    different = first[:length] != second[:length]
    return int(different.argmax()) if different.any() else length


@dataclass(slots=True, eq=False)
class Slot:
    """Slot of the KV cache, with one sequence.

    Attributes:
        number: Its index.
        adapter: The adapter with which its tokens were computed, or None for the base model.
        tokens: Shape (length,): the computed tokens, then tokens that remain to be prefilled.
        num_computed_tokens: Number of leading `tokens` that are in the KV cache.
        busy: Whether a request is using it.
        last_used: Value of the cache's counter when the slot was last released; 0 for never.
        stored: Whether its computed tokens were offered to the cache on disk since then.
    """

    number: SlotId
    adapter: Hashable = None
    tokens: Tokens = field(default_factory=lambda: EMPTY)
    num_computed_tokens: int = 0
    busy: bool = False
    last_used: int = 0
    stored: bool = True

    def num_cached_tokens(self, tokens: Tokens, adapter: Hashable) -> int:
        """Returns the number of leading tokens of a prompt that are computed in this slot."""
        if adapter != self.adapter:
            return 0
        return common_prefix_length(self.tokens[: self.num_computed_tokens], tokens)


@dataclass(frozen=True, slots=True)
class SlotClaim:
    """Slot that a prompt has taken.

    Attributes:
        slot: The slot, busy from now on.
        num_cached_tokens: Number of leading tokens of the prompt that need no prefill.
        source: The slot to copy these tokens from, if they are in another slot.
        stored: The stored prefix that has these tokens, if it was found on disk.
    """

    slot: Slot
    num_cached_tokens: int
    source: Slot | None
    stored: StoredPrefix | None = None


class PrefixCache:
    """All slots of an engine.

    Args:
        num_slots: Number of slots, at least 1.
        min_chunk_tokens: Minimum length of a cached prefix, unless the whole prompt is shorter: a
            shorter prompt was computed with other bits than the prefix of a longer one.
        find_stored: Finds prefixes on disk.
    """

    def __init__(
        self, num_slots: int, min_chunk_tokens: int = 2, find_stored: FindStored | None = None
    ) -> None:
        self._find_stored = find_stored
        self._min_cached = max(MIN_CACHED, min_chunk_tokens)
        self._slots = [Slot(SlotId(number)) for number in range(num_slots)]
        self._releases = 0

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    @property
    def has_free_slot(self) -> bool:
        """Whether a claim would succeed."""
        return any(not slot.busy for slot in self._slots)

    def claim(self, tokens: Tokens, adapter: Hashable, max_cached: int) -> SlotClaim | None:
        """Takes the best free slot for a prompt.

        Args:
            tokens: The prompt, shape (length,).
            adapter: Its adapter, or None for the base model.
            max_cached: Maximum number of tokens to take from the cache; a negative number counts as
                0.

        Returns:
            The claim, or None if no slot is free.
        """
        free = [slot for slot in self._slots if not slot.busy]
        if not free:
            return None
        max_cached = max(0, max_cached)
        counts = {
            slot: min(max_cached, slot.num_cached_tokens(tokens, adapter)) for slot in self._slots
        }
        best = max(
            self._slots, key=lambda slot: (counts[slot], not slot.busy, -slot.num_computed_tokens)
        )
        cached = counts[best]
        lost = best.num_computed_tokens - cached
        oldest = min(free, key=lambda slot: slot.last_used)
        stored = self._find(tokens[:max_cached], adapter, cached)
        in_place = not best.busy and (lost <= MIN_CACHED or free == [best])
        if stored is not None:
            claim = SlotClaim(best if in_place else oldest, stored.num_tokens, None, stored)
        elif cached < min(self._min_cached, tokens.size):
            claim = SlotClaim(oldest, 0, None)
        elif in_place:
            claim = SlotClaim(best, cached, None)
        else:
            claim = SlotClaim(self._oldest_but(best, free), cached, best)
        self._occupy(claim, tokens, adapter)
        return claim

    def release(self, slot: Slot, tokens: Tokens | None = None) -> None:
        """Frees a slot; its computed tokens stay cached.

        Args:
            slot: The slot.
            tokens: Its computed tokens, followed by tokens to prefill when the engine is idle; by
                default its computed tokens only.
        """
        self._releases += 1
        slot.last_used = self._releases
        slot.busy = slot.stored = False
        slot.tokens = slot.tokens[: slot.num_computed_tokens] if tokens is None else tokens

    def drop_adapter(self, adapter: Hashable) -> None:
        """Empties all slots that were computed with an adapter."""
        for slot in self._slots:
            if slot.adapter == adapter:
                slot.tokens, slot.num_computed_tokens = EMPTY, 0

    def not_stored(self) -> Sequence[Slot]:
        """Returns the free slots that were not offered to the cache on disk, latest used first."""
        slots = [slot for slot in self._slots if not (slot.busy or slot.stored)]
        return sorted(slots, key=lambda slot: -slot.last_used)

    def next_incomplete(self) -> Slot | None:
        """Returns the most recently used free slot with tokens that remain to be prefilled."""
        incomplete = [
            slot
            for slot in self._slots
            if not slot.busy and slot.tokens.size > slot.num_computed_tokens
        ]
        return max(incomplete, key=lambda slot: slot.last_used, default=None)

    def _find(self, tokens: Tokens, adapter: Hashable, num_cached: int) -> StoredPrefix | None:
        """Returns a stored prefix that is worth reading, if there is one."""
        return self._find_stored and self._find_stored(tokens, adapter, num_cached)

    @staticmethod
    def _oldest_but(source: Slot, free: list[Slot]) -> Slot:
        """Returns the least recently used slot other than `source`."""
        return min((slot for slot in free if slot is not source), key=lambda slot: slot.last_used)

    @staticmethod
    def _occupy(claim: SlotClaim, tokens: Tokens, adapter: Hashable) -> None:
        slot = claim.slot
        slot.busy, slot.adapter, slot.tokens = True, adapter, tokens
        slot.num_computed_tokens = claim.num_cached_tokens
