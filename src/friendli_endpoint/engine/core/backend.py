"""Protocol between the engine and an implementation of the model with its KV cache."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NewType, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BLOCK_TOKENS",
    "MAX_RUN",
    "AdapterError",
    "Backend",
    "Block",
    "BlockFormat",
    "Logits",
    "SavedBlocks",
    "SlotId",
    "Tokens",
]

Logits = NDArray[np.float32]
"""Raw logits of the next token, shape (vocabulary,), float32."""

Tokens = NDArray[np.int32]
"""Token ids, shape (length,), int32."""

SlotId = NewType("SlotId", int)
"""Index of a slot of the KV cache, in [0, number of slots); a slot stores one sequence."""

MAX_RUN = 16
"""Maximum number of tokens that `Backend.extend` takes."""

BLOCK_TOKENS = 64
"""Number of tokens in a saved block of the KV cache."""

Block = NDArray[np.uint8]
"""Saved KV cache of `BLOCK_TOKENS` tokens, shape (`BlockFormat.num_bytes`,), uint8."""

SavedBlocks = Callable[[int], Block]
"""Returns the block with an index, which is counted from the start of a sequence."""


@dataclass(frozen=True, slots=True)
class BlockFormat:
    """Format of saved blocks.

    Attributes:
        num_bytes: Size of a block in bytes.
        layout: Describes how the bytes are arranged. Backends with equal formats that compute the
            same bits can exchange blocks.
    """

    num_bytes: int
    layout: bytes


class AdapterError(Exception):
    """A file is not an adapter for the model; the message states the reason."""


class Backend(Protocol):
    """Model with a KV cache for a fixed number of sequences, each in its own slot.

    Threads: all calls come from the thread that opened the backend, one at a time. A call may
    block for the duration of its computation.

    Arguments: token arrays and sequences are read during the call only, and never modified.
    `position` is always the number of tokens in the slot before the call. No slot ever exceeds the
    context that the backend was opened with. An adapter is a value that `load_adapter` returned and
    that has not been freed, or None for the base model. All tokens of a slot are computed with the
    same adapter; to change it, the engine truncates the slot to 0 before.

    Results: each row of logits has shape (vocabulary,), float32, and is valid until the next call
    of any method; the engine copies what it needs longer.

    Determinism: the bits of the logits depend on the tokens of their sequence, on its adapter, and
    on how the prompt is cut into chunks within the bounds of the `EngineConfig`; on nothing else,
    neither on the slot nor on other sequences of a batch.

    Errors: an exception of `prefill`, `extend`, `decode`, `copy`, `truncate`, `save` or `restore`
    means that all slots have lost their contents. The engine then closes the backend and opens
    another one.
    """

    @property
    def batch_invariant_positions(self) -> int:
        """Number of leading positions where decoded tokens have the bits of prefilled ones.

        There, generated tokens can be a cached prefix, and drafts do not change the output.
        Constant; 0 if there are none.
        """
        ...

    @property
    def block_format(self) -> BlockFormat | None:
        """Format of the blocks of `save` and `restore`; constant, and None if there are none."""
        ...

    def prefill(
        self, slot: SlotId, tokens: Tokens, position: int, output: bool, adapter: int | None
    ) -> Logits | None:
        """Appends a chunk of a prompt to a slot.

        Args:
            slot: The slot.
            tokens: Shape (count,), with a count that the `EngineConfig` allows: at most
                `max_chunk_tokens`, and at least `min_chunk_tokens` unless the whole prompt is
                shorter.
            position: Number of tokens in the slot.
            output: Whether to return the logits after the last token.
            adapter: The adapter of the slot.

        Returns:
            The logits after the last token, or None if `output` is false.
        """
        ...

    def extend(
        self, slot: SlotId, tokens: Tokens, position: int, outputs: bool, adapter: int | None
    ) -> Sequence[Logits] | None:
        """Appends several output tokens to a slot: fast-forward tokens, or a draft.

        Args:
            slot: The slot.
            tokens: Shape (count,), with a count from 2 to `MAX_RUN`.
            position: Number of tokens in the slot.
            outputs: Whether to return logits.
            adapter: The adapter of the slot.

        Returns:
            The logits after each token, in order, or None if `outputs` is false.
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
            slots: Distinct slots, at least one.
            tokens: The token for each slot.
            positions: Number of tokens in each slot, less than the context.
            adapter: The adapter of all of these slots.

        Returns:
            The logits after each token, in the order of `slots`.
        """
        ...

    def copy(self, source: SlotId, target: SlotId) -> None:
        """Replaces the contents of `target` by those of `source`, another slot."""
        ...

    def truncate(self, slot: SlotId, length: int) -> None:
        """Drops the tokens of a slot from position `length` on; no effect on a shorter sequence."""
        ...

    def save(self, slot: SlotId) -> SavedBlocks:
        """Saves a slot, which stays as it is; called only if there is a `block_format`.

        Args:
            slot: The slot.

        Returns:
            The whole blocks of its tokens; may be called until the next call of any method.
        """
        ...

    def restore(self, slot: SlotId, blocks: Sequence[Block]) -> None:
        """Replaces the contents of a slot by saved blocks, with the bits of the saved tokens.

        Args:
            slot: The slot.
            blocks: The first blocks of a sequence, in order: at least one, and not more than the
                context. They are of this `block_format`, of the same model, and of the adapter with
                which the slot is continued.
        """
        ...

    def load_adapter(self, path: Path) -> int:
        """Loads an adapter, which stays until it is freed or the backend is closed.

        Args:
            path: File of the adapter; it is read during the call only.

        Returns:
            Handle of the adapter, different from those of other loaded adapters.

        Raises:
            AdapterError: The file is not an adapter for this model; slots and other adapters are
                unchanged.
        """
        ...

    def free_adapter(self, adapter: int) -> None:
        """Frees an adapter; no later call names it."""
        ...

    def close(self) -> None:
        """Frees all resources of the backend; may be called again."""
        ...
