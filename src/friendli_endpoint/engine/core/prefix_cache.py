"""What every slot holds, and where a prompt is best put: the cache of prefixes.

A slot holds one sequence. What a finished request has left in its slot stays there until the slot
is needed, the least recently used first, and a later prompt that begins batch_invariant_positions
starts from it: in
place where hardly anything is lost by that, else from a copy.

Only tokens that have the bits of a prompt's count as held. A token that was generated was computed
alone, which gives other bits but for the first positions (see `engine/llama/context.py`); an answer
must not depend on what was asked before, so such tokens are computed anew, when there is time.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

import numpy as np

from friendli_endpoint.engine.core.backend import SlotId, Tokens

__all__ = ["Claim", "Slot", "Slots", "shared_length"]

LEAST_SHARED = 8
"""Fewer common tokens are computed again sooner than they are copied."""

NOTHING: Tokens = np.empty(0, np.int32)


def shared_length(first: Tokens, second: Tokens) -> int:
    """With how many equal tokens two sequences of shape (length,) begin."""
    length = min(first.size, second.size)
    different = first[:length] != second[:length]
    return int(different.argmax()) if different.any() else length


@dataclass(slots=True, eq=False)
class Slot:
    """One sequence of the cache.

    Attributes:
        number: Which one.
        adapter: What the weights were changed by when its tokens were computed.
        tokens: Shape (length,): what it holds, then what it would be good to hold.
        held: How many of the tokens it holds.
        busy: Whether a request is using it.
        left: When it was last left, in turns; 0 for never.
    """

    number: SlotId
    adapter: Hashable = None
    tokens: Tokens = field(default_factory=lambda: NOTHING)
    held: int = 0
    busy: bool = False
    left: int = 0

    def shares(self, tokens: Tokens, adapter: Hashable) -> int:
        """With how many tokens of a prompt it can start."""
        if adapter != self.adapter:
            return 0
        return shared_length(self.tokens[: self.held], tokens)


@dataclass(frozen=True, slots=True)
class Claim:
    """A slot for a prompt.

    Attributes:
        slot: The slot, busy from now on.
        shared: How many tokens need no computing.
        source: The slot to copy them from; None where `slot` holds them, or there are none.
    """

    slot: Slot
    shared: int
    source: Slot | None


class Slots:
    """All slots of an engine.

    Args:
        count: How many there are, at least 1.
        min_chunk_tokens: Shorter prompts were computed otherwise than the beginnings of longer
        ones.
    """

    def __init__(self, count: int, min_chunk_tokens: int = 2) -> None:
        self._least_shared = max(LEAST_SHARED, min_chunk_tokens)
        self._slots = [Slot(SlotId(number)) for number in range(count)]
        self._turn = 0

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    @property
    def any_free(self) -> bool:
        """Whether a claim would succeed."""
        return any(not slot.busy for slot in self._slots)

    def claim(self, tokens: Tokens, adapter: Hashable, most: int) -> Claim | None:
        """Takes the best free slot for a prompt.

        Args:
            tokens: The prompt, shape (length,).
            adapter: What the weights are changed by.
            most: How many tokens may be shared at most; below 0 is as 0.

        Returns:
            The claim, or None where no slot is free.
        """
        free = [slot for slot in self._slots if not slot.busy]
        if not free:
            return None
        shares = {slot: min(max(0, most), slot.shares(tokens, adapter)) for slot in self._slots}
        best = max(self._slots, key=lambda slot: (shares[slot], not slot.busy, -slot.held))
        shared = shares[best]
        oldest = min(free, key=lambda slot: slot.left)
        if shared < min(self._least_shared, tokens.size):
            claim = Claim(oldest, 0, None)
        elif not best.busy and (best.held - shared <= LEAST_SHARED or free == [best]):
            claim = Claim(best, shared, None)
        else:
            claim = Claim(self._oldest_but(best, free), shared, best)
        self._occupy(claim, tokens, adapter)
        return claim

    def leave(self, slot: Slot, tokens: Tokens | None = None) -> None:
        """Gives a slot back.

        Args:
            slot: The slot.
            tokens: What it would be good to hold, beginning with what it holds; by default no
                more than that.
        """
        self._turn += 1
        slot.left = self._turn
        slot.busy = False
        slot.tokens = slot.tokens[: slot.held] if tokens is None else tokens

    def forget(self, adapter: Hashable) -> None:
        """Empties the slots that were computed with an adapter."""
        for slot in self._slots:
            if slot.adapter == adapter:
                slot.tokens, slot.held = NOTHING, 0

    def unsettled(self) -> Slot | None:
        """The free slot left last among those that hold less than would be good."""
        waiting = [slot for slot in self._slots if not slot.busy and slot.tokens.size > slot.held]
        return max(waiting, key=lambda slot: slot.left, default=None)

    @staticmethod
    def _oldest_but(source: Slot, free: list[Slot]) -> Slot:
        return min((slot for slot in free if slot is not source), key=lambda slot: slot.left)

    @staticmethod
    def _occupy(claim: Claim, tokens: Tokens, adapter: Hashable) -> None:
        slot = claim.slot
        slot.busy, slot.adapter, slot.tokens, slot.held = True, adapter, tokens, claim.shared
