"""Prefix cache on disk: finds the longest stored prefix of a prompt, and stores prefixes."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import time_ns

from friendli_endpoint.engine.core.backend import (
    BLOCK_TOKENS,
    Block,
    BlockFormat,
    SavedBlocks,
    Tokens,
)
from friendli_endpoint.engine.core.disk.block_file import (
    BlockFileError,
    block_keys,
    file_size,
    read_block,
    write_block,
)
from friendli_endpoint.engine.core.disk.folder import BlockFolder, FolderWriter, LockedError
from friendli_endpoint.generation import reason_of

__all__ = ["BlockStore", "DiskCache", "Prefix", "StoredPrefix", "open_store"]

log = logging.getLogger("friendli_endpoint.engine")

MIN_SHARE = 1 / 16
"""Minimum fraction of a stored prefix that must not be in memory yet: reading a token takes up to
a sixteenth of the time of computing it, from a disk that reads 100 MB/s."""

STEP_NS = 1_000
"""Nanoseconds between the times of use of successive blocks of a prefix: a block is of no use
without those before it, so later ones are deleted first."""


@dataclass(frozen=True, slots=True)
class DiskCache:
    """Prefix cache on disk of an engine.

    Attributes:
        folder: Its folder.
        identity: Identifies everything that decides the bits of a KV cache besides the tokens and
            the adapter, such as the model, the library and the processor.
    """

    folder: BlockFolder
    identity: bytes


@dataclass(frozen=True, slots=True)
class Prefix:
    """Computed tokens of a sequence.

    Attributes:
        tokens: The tokens, shape (length,).
        adapter: Digest of the adapter's content; empty for the base model.
        save: Saves the sequence, if one of its blocks is not stored yet.
    """

    tokens: Tokens
    adapter: bytes
    save: Callable[[], SavedBlocks]


@dataclass(frozen=True, slots=True, eq=False)
class StoredPrefix:
    """Prefix that was found on disk and is intact.

    Attributes:
        blocks: Its blocks, in order.
    """

    blocks: Sequence[Block]

    @property
    def num_tokens(self) -> int:
        """Number of its tokens."""
        return BLOCK_TOKENS * len(self.blocks)


class BlockStore:
    """Blocks of the KV cache in a folder; not thread-safe.

    No method raises because of the folder or its files: what cannot be read is computed, and what
    cannot be written is not stored. The first failure of successive ones is logged.

    Args:
        disk: The folder, and what its blocks must be computed with.
        block_format: Format of the blocks.
        clock: Returns the time in nanoseconds since the epoch.
    """

    def __init__(
        self, disk: DiskCache, block_format: BlockFormat, clock: Callable[[], int] = time_ns
    ) -> None:
        folder = self._folder = disk.folder
        self._identity = hashlib.sha256(disk.identity + block_format.layout).digest()
        self._block_bytes = block_format.num_bytes
        self._file_size = file_size(block_format.num_bytes)
        self._clock = clock
        self._reported: set[Path] = set()
        self._can_write = True
        self._num_read = self._num_written = 0
        if self._file_size > folder.max_bytes:
            log.warning(
                "--prefix-cache-size: no prefix is stored, because %d tokens take %s bytes",
                BLOCK_TOKENS,
                f"{self._file_size:,}",
            )

    def find(self, tokens: Tokens, adapter: bytes, num_cached: int) -> StoredPrefix | None:
        """Returns the longest stored prefix of a prompt, if reading it saves time.

        Args:
            tokens: The prompt, shape (length,).
            adapter: Digest of the adapter's content; empty for the base model.
            num_cached: Number of leading tokens that are in memory.
        """
        num_blocks = tokens.size // BLOCK_TOKENS
        if not _saves_time(num_blocks, num_cached):
            return None
        stored: list[tuple[bytes, bytes]] = []
        for key, header in self._keys(adapter, tokens):
            if not self._folder.contains(key):
                break
            stored.append((key, header))
        if not _saves_time(len(stored), num_cached):
            return None
        blocks: list[Block] = []
        for key, header in stored:
            if (block := self._read(key, header)) is None:
                break
            blocks.append(block)
        if not _saves_time(len(blocks), num_cached):
            return None
        now = self._clock()
        for number, (key, _) in enumerate(stored[: len(blocks)]):
            self._folder.touch(key, now - number * STEP_NS)
        self._num_read += len(blocks)
        return StoredPrefix(blocks)

    def store(self, prefixes: Sequence[Prefix], is_interrupted: Callable[[], bool]) -> int:
        """Stores prefixes, and marks those that are stored already as used.

        Args:
            prefixes: The prefixes, the most recently used one first.
            is_interrupted: Whether to stop, asked before every block; a block takes milliseconds.

        Returns:
            Number of leading prefixes that need not be given again before they are used again.
        """
        plans: list[_Plan] = []
        marked: set[bytes] = set()
        used_ns = self._clock()
        for prefix in prefixes:
            if is_interrupted():
                break
            plans.append(plan := _Plan(prefix))
            for number, (key, header) in enumerate(self._keys(prefix.adapter, prefix.tokens)):
                used_ns -= STEP_NS
                if key not in marked and not self._folder.touch(key, used_ns):
                    plan.missing.append(_MissingBlock(number, key, header, used_ns))
                marked.add(key)
        if not any(plan.missing for plan in plans):
            return len(plans)
        try:
            with self._folder.writer() as writer:
                done = self._write(writer, plans, is_interrupted)
        except LockedError:
            return 0
        except OSError as error:
            if self._can_write:
                log.warning(
                    "prefixes cannot be stored in %s: %s", self._folder.path, reason_of(error)
                )
            self._can_write = False
            return len(plans)
        self._can_write = True
        return done

    def take_counts(self) -> tuple[int, int, int]:
        """Returns the tokens read, bytes read and bytes written, and resets these counts to 0."""
        num_read, self._num_read = self._num_read, 0
        num_written, self._num_written = self._num_written, 0
        return (
            num_read * BLOCK_TOKENS,
            num_read * self._file_size,
            num_written * self._file_size,
        )

    def _write(
        self, writer: FolderWriter, plans: Sequence["_Plan"], is_interrupted: Callable[[], bool]
    ) -> int:
        """Writes missing blocks; returns the number of leading plans that are carried out.

        Raises:
            OSError: A block cannot be written.
        """
        for index, plan in enumerate(plans):
            if not plan.missing:
                continue
            if is_interrupted():
                return index
            blocks = plan.prefix.save()
            for block in plan.missing:
                if is_interrupted():
                    return index
                content = partial(write_block, block.header, blocks(block.number))
                if not writer.write(block.key, self._file_size, block.used_ns, content):
                    break
                self._num_written += 1
        return len(plans)

    def _read(self, key: bytes, header: bytes) -> Block | None:
        """Reads a block; returns None if it is missing or damaged, and removes a damaged one."""
        path = self._folder.path_of(key)
        try:
            return read_block(path, header, self._block_bytes)
        except FileNotFoundError:
            return None  # another engine has deleted it
        except BlockFileError as error:
            self._folder.remove(key)
            self._report(path, f"{path} is removed, and its tokens are computed again: {error}")
        except (OSError, MemoryError) as error:
            self._report(path, f"cannot read {path}: {reason_of(error)}")
        return None

    def _report(self, path: Path, message: str) -> None:
        """Logs a message about a file, once."""
        if path not in self._reported:
            self._reported.add(path)
            log.warning("%s", message)

    def _keys(self, adapter: bytes, tokens: Tokens) -> Iterator[tuple[bytes, bytes]]:
        root = hashlib.sha256(self._identity + hashlib.sha256(adapter).digest())
        return block_keys(root.digest(), tokens)


def open_store(disk: DiskCache | None, block_format: BlockFormat | None) -> BlockStore | None:
    """Returns a store for the blocks of a backend; None without a cache or without blocks."""
    if disk is None:
        return None
    if block_format is None:
        log.warning("prefixes are not stored on disk: the KV cache of this model has no blocks")
        return None
    return BlockStore(disk, block_format)


@dataclass(frozen=True, slots=True)
class _MissingBlock:
    """Block of a prefix that is not stored."""

    number: int
    key: bytes
    header: bytes
    used_ns: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """Prefix with its blocks that are not stored."""

    prefix: Prefix
    missing: list[_MissingBlock] = field(default_factory=list)


def _saves_time(num_blocks: int, num_cached: int) -> bool:
    stored = BLOCK_TOKENS * num_blocks
    return stored - num_cached > MIN_SHARE * stored
