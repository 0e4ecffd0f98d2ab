"""The interface between the engine and whatever holds sequences and computes their logits."""

from collections.abc import Sequence
from pathlib import Path
from typing import NewType, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_RUN", "AdapterError", "Backend", "Logits", "SlotId", "Tokens"]

Logits = NDArray[np.float32]
Tokens = NDArray[np.int32]

SlotId = NewType("SlotId", int)
"""Number of a slot, which holds one sequence: from 0 to the number of slots."""

MAX_RUN = 16
"""Maximum number of tokens that `Backend.extend` takes."""


class AdapterError(Exception):
    """A file is not an adapter for the model; the message says why."""


class Backend(Protocol):
    """Holds a fixed number of sequences, each in a slot, and computes the logits that follow them.

    All calls come from the thread that opened the backend, one at a time. Logits have shape
    (vocabulary,), float32, and are valid until the next call of any method. Token arrays are only
    read during the call. An adapter is what `load_adapter` returned and `free_adapter` has not
    been told of, or None for the model as it is; a slot is only ever appended to with the adapter
    that it was begun with, unless it is emptied before.

    The bits of the logits depend on the tokens of their sequence, on its adapter, and on how the
    prompt is cut into pieces within what the plan of the engine allows; on nothing else.

    Any exception of a method that computes means that all slots have lost what they held; the
    backend is then closed, and another one opened.
    """

    @property
    def batch_invariant_positions(self) -> int:
        """The number of first positions at which decoded tokens have the bits of prefilled ones.

        There, tokens of an answer count as a cached prefix, and drafts change no bit.
        """
        ...

    def prefill(
        self, slot: SlotId, tokens: Tokens, position: int, output: bool, adapter: int | None
    ) -> Logits | None:
        """Appends a piece of a prompt to a slot.

        Args:
            slot: The slot; it holds `position` tokens.
            tokens: Shape (count,); as many as the plan of the engine allows in a piece.
            position: How many tokens the slot holds.
            output: Whether the logits after the last token are wanted.
            adapter: The adapter.

        Returns:
            The logits where they are wanted.
        """
        ...

    def extend(
        self, slot: SlotId, tokens: Tokens, position: int, outputs: bool, adapter: int | None
    ) -> Sequence[Logits] | None:
        """Appends tokens of an answer that are known, or guessed, to a slot.

        Args:
            slot: The slot; it holds `position` tokens.
            tokens: Shape (count,), at least 2 and at most `MAX_RUN`.
            position: How many tokens the slot holds.
            outputs: Whether the logits after each token are wanted.
            adapter: The adapter.

        Returns:
            The logits after each token where they are wanted.
        """
        ...

    def decode(
        self,
        slots: Sequence[SlotId],
        tokens: Sequence[int],
        positions: Sequence[int],
        adapter: int | None,
    ) -> Sequence[Logits]:
        """Appends one token to each of several slots.

        Args:
            slots: Distinct, at least one.
            tokens: One for each.
            positions: How many tokens each slot holds; less than the context.
            adapter: The adapter of all of them.

        Returns:
            The logits after each token.
        """
        ...

    def copy(self, source: SlotId, target: SlotId) -> None:
        """Makes one slot hold what another one holds; what it held is lost."""
        ...

    def truncate(self, slot: SlotId, length: int) -> None:
        """Drops what a slot holds from position `length` on; it may hold fewer tokens."""
        ...

    def load_adapter(self, path: Path) -> int:
        """Reads changes to the weights; they stay until they are freed, or the backend is closed.

        Raises:
            AdapterError: The file holds none for this model; nothing else is lost.
        """
        ...

    def free_adapter(self, adapter: int) -> None:
        """Frees an adapter that no slot is going to be computed with."""
        ...

    def close(self) -> None:
        """Frees what the backend holds; may be called again."""
        ...
