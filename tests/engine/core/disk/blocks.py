"""Blocks and folders for tests of the prefix cache on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from friendli_endpoint.engine.core.backend import (
    BLOCK_TOKENS,
    Block,
    BlockFormat,
    SavedBlocks,
    Tokens,
)
from friendli_endpoint.engine.core.disk.block_file import file_size
from friendli_endpoint.engine.core.disk.folder import BlockFolder
from friendli_endpoint.engine.core.disk.store import BlockStore, DiskCache, Prefix

FORMAT = BlockFormat(48, b"test")
SIZE = file_size(FORMAT.num_bytes)
LARGE = 1 << 30


def block_of(seed: int) -> Block:
    """Returns a block with random bytes."""
    return np.random.default_rng(seed).integers(0, 256, FORMAT.num_bytes, np.uint8)


def tokens_of(*seeds: int, extra: int = 0) -> Tokens:
    """Returns one block of random tokens for each seed, and more tokens after them."""
    parts = [np.random.default_rng(seed).integers(0, 1 << 20, BLOCK_TOKENS) for seed in seeds]
    return np.concatenate([*parts, np.arange(extra)]).astype(np.int32)


def prefix_of(*seeds: int, adapter: bytes = b"", extra: int = 0) -> Prefix:
    """Returns a prefix whose blocks have the same seeds as its tokens."""

    def save() -> SavedBlocks:
        return lambda index: block_of(seeds[index])

    return Prefix(tokens_of(*seeds, extra=extra), adapter, save)


class Clock:
    """A clock that advances by a second with every reading."""

    def __init__(self) -> None:
        self.now = 10**18

    def __call__(self) -> int:
        self.now += 10**9
        return self.now


def opened(
    folder: Path,
    *,
    max_bytes: int = LARGE,
    identity: bytes = b"model",
    block_format: BlockFormat = FORMAT,
    clock: Callable[[], int] | None = None,
) -> BlockStore:
    """Opens a store as another engine would."""
    disk = DiskCache(BlockFolder(folder, max_bytes), identity)
    return BlockStore(disk, block_format, clock or Clock())


def store(subject: BlockStore, *prefixes: Prefix) -> int:
    """Stores prefixes without interruption."""
    return subject.store(prefixes, lambda: False)


def found(
    subject: BlockStore, *seeds: int, adapter: bytes = b"", num_cached: int = 0
) -> list[bytes]:
    """Returns the blocks that are found for a prompt, after checking them."""
    stored = subject.find(tokens_of(*seeds, extra=5), adapter, num_cached)
    blocks = [] if stored is None else [block.tobytes() for block in stored.blocks]
    assert blocks == expected(seeds[: len(blocks)])
    return blocks


def expected(seeds: Sequence[int]) -> list[bytes]:
    """Returns the blocks of a prefix."""
    return [block_of(seed).tobytes() for seed in seeds]


def files(folder: Path) -> list[Path]:
    """Returns the files of all blocks, the most recently used one first."""
    paths = folder.glob("prefixes/*.kv")
    return sorted(paths, key=lambda path: -path.stat().st_mtime_ns)
