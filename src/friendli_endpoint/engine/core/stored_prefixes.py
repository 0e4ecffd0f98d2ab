"""Prefix cache on disk, as the execution uses it: for slots of a backend, and for adapters."""

import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic, sleep

from friendli_endpoint.engine.core.adapters import digest_of
from friendli_endpoint.engine.core.backend import Backend, BlockFormat, SlotId, Tokens
from friendli_endpoint.engine.core.disk.store import (
    BlockStore,
    DiskCache,
    Prefix,
    StoredPrefix,
    open_store,
)
from friendli_endpoint.engine.core.prefix_cache import Slot

__all__ = ["StoredPrefixes"]

log = logging.getLogger("friendli_endpoint.engine")

CLOSE_SECONDS = 2.0
"""Maximum number of seconds for storing prefixes when the engine is closed."""

LOCKED_SECONDS = 0.01
"""Seconds between two attempts to write at that time, while another engine does."""


class StoredPrefixes:
    """Prefixes on disk; without a cache on disk, nothing is found or stored.

    Args:
        disk: The prefix cache on disk; None for none.
        block_format: Format of the backend's blocks; None if it has none.
    """

    def __init__(self, disk: DiskCache | None, block_format: BlockFormat | None) -> None:
        self._store: BlockStore | None = open_store(disk, block_format)

    def find(self, tokens: Tokens, adapter: Hashable, num_cached: int) -> StoredPrefix | None:
        """Returns the longest stored prefix of a prompt, if reading it saves time.

        Args:
            tokens: The prompt, shape (length,).
            adapter: Its adapter, or None for the base model.
            num_cached: Number of leading tokens that are in a slot.
        """
        if self._store is None:
            return None
        return self._store.find(tokens, digest_of(adapter), num_cached)

    def restore(self, backend: Backend, slot: SlotId, stored: StoredPrefix) -> None:
        """Restores a prefix in a slot; if that fails, none will be found any more.

        Raises:
            Exception: Any exception of the backend.
        """
        with self._ending_at_errors("restored from"):
            backend.restore(slot, stored.blocks)

    def store(
        self, backend: Backend, slots: Sequence[Slot], is_interrupted: Callable[[], bool]
    ) -> bool:
        """Stores the computed tokens of slots, which are free; if that fails, none any more.

        Args:
            backend: The backend.
            slots: The slots, the most recently used one first.
            is_interrupted: Whether to stop, asked before every block.

        Returns:
            Whether there are none left to be stored.

        Raises:
            Exception: Any exception of the backend.
        """
        if self._store is None:
            return True
        prefixes = [
            Prefix(
                slot.tokens[: slot.num_computed_tokens],
                digest_of(slot.adapter),
                partial(backend.save, slot.number),
            )
            for slot in slots
        ]
        with self._ending_at_errors("saved to"):
            num_stored = self._store.store(prefixes, is_interrupted)
        for slot in slots[:num_stored]:
            slot.stored = True
        return num_stored == len(slots)

    def store_last(self, backend: Backend, slots: Sequence[Slot]) -> None:
        """Stores slots for up to `CLOSE_SECONDS`, and waits for other engines that do so.

        Raises:
            Exception: Any exception of the backend.
        """
        end = monotonic() + CLOSE_SECONDS

        def is_late() -> bool:
            return monotonic() > end

        while not self.store(backend, slots, is_late) and not is_late():
            sleep(LOCKED_SECONDS)

    @contextmanager
    def _ending_at_errors(self, done: str) -> Iterator[None]:
        """Uses no disk any more after an error, which may come again whenever it is used."""
        try:
            yield
        except Exception:
            log.error("a prefix cannot be %s disk; no disk will be used any more", done)
            self._store = None
            raise

    def take_counts(self) -> tuple[int, int, int]:
        """Returns the tokens read, bytes read and bytes written, and resets these counts to 0."""
        return (0, 0, 0) if self._store is None else self._store.take_counts()
