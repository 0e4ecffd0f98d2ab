"""Form of a file with the KV cache of one block of tokens.

    magic    8 bytes, with the version of the form
    parent   32 bytes: key of the block before, or of an empty prefix
    tokens   `BLOCK_TOKENS` token ids, int32, little-endian
    payload  the KV cache of these tokens, as the backend saves it
    digest   SHA-256 of everything before it

The key of a block is the SHA-256 of its parent and its tokens, so it identifies the whole prefix
that ends with the block, and whatever the key of the empty prefix stands for. SHA-256 of 12 MB
takes 7 ms, and computing their 500 tokens 2 s.
"""

import hashlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from friendli_endpoint.engine.core.backend import BLOCK_TOKENS, Block, Tokens
from friendli_endpoint.files import open_regular

__all__ = ["BlockFileError", "block_keys", "file_size", "read_block", "write_block"]

_MAGIC = b"FEPREFX1"
_KEY_BYTES = _DIGEST_BYTES = hashlib.sha256().digest_size
_HEADER_BYTES = len(_MAGIC) + _KEY_BYTES + 4 * BLOCK_TOKENS


class BlockFileError(Exception):
    """A file is not the block that its name says; the message states the reason."""


def block_keys(root: bytes, tokens: Tokens) -> Iterator[tuple[bytes, bytes]]:
    """Yields a key for each whole block of a sequence, and the header of its file.

    Args:
        root: Key of the empty prefix, 32 bytes.
        tokens: The sequence, shape (length,).
    """
    key = root
    for end in range(BLOCK_TOKENS, tokens.size + 1, BLOCK_TOKENS):
        content = key + tokens[end - BLOCK_TOKENS : end].astype("<i4").tobytes()
        key = hashlib.sha256(content).digest()
        yield key, _MAGIC + content


def file_size(block_bytes: int) -> int:
    """Returns the size of the file of a block with a payload of this size, in bytes."""
    return _HEADER_BYTES + block_bytes + _DIGEST_BYTES


def write_block(header: bytes, block: Block, file: BinaryIO) -> None:
    """Writes a block.

    Args:
        header: The header that `block_keys` gave.
        block: The payload.
        file: The file, at its start.

    Raises:
        OSError: The file cannot be written.
    """
    digest = hashlib.sha256(header)
    digest.update(block.data)
    for part in (header, block.data, digest.digest()):
        file.write(part)


def read_block(path: Path, header: bytes, block_bytes: int) -> Block:
    """Reads a block through a memory map, and checks it.

    The payload is copied, as a map would keep a file descriptor open: 1,024 for 64K tokens.

    Args:
        path: The file.
        header: The header that `block_keys` gave.
        block_bytes: Size of the payload.

    Returns:
        The payload.

    Raises:
        OSError: The file cannot be read, or is not a regular file.
        BlockFileError: The file has another content, or another size.
    """
    size = file_size(block_bytes)
    with open_regular(path) as file:
        actual_size = os.fstat(file.fileno()).st_size
        if actual_size != size:
            raise BlockFileError(f"it has {actual_size:,} bytes instead of {size:,}")
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapped:
            return _checked_payload(memoryview(mapped), header)


def _checked_payload(content: memoryview, header: bytes) -> Block:
    """Returns a copy of the payload of a file, and releases its content.

    Raises:
        BlockFileError: The content is not what the header says.
    """
    with content, content[:-_DIGEST_BYTES] as checked:
        if checked[:_HEADER_BYTES] != header:
            raise BlockFileError("it is of other tokens, or of another version")
        if hashlib.sha256(checked).digest() != content[-_DIGEST_BYTES:]:
            raise BlockFileError("its checksum is wrong")
        return np.array(checked[_HEADER_BYTES:])
