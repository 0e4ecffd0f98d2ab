"""Token masks, and an index of a vocabulary by token bytes.

In a mask, bit `t % 32` of word `t // 32` is token `t`.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.generation import Vocabulary

__all__ = ["Bitmask", "TokenIndex", "bitmask_of", "bitmask_without", "tokenize_fragment"]

Bitmask = NDArray[np.uint32]

_PREFIX = "\x02"
"""A character that no tokenizer merges with the text after it."""


def bitmask_of(ids: Iterable[int], size: int) -> Bitmask:
    """Returns a uint32 mask of shape (ceil(size / 32),) that allows only these tokens."""
    mask = np.zeros((size + 31) // 32, np.uint32)
    for token in ids:
        mask[token // 32] |= np.uint32(1 << (token % 32))
    return mask


def bitmask_without(ids: Iterable[int], size: int) -> Bitmask:
    """Returns a uint32 mask of shape (ceil(size / 32),) that allows all tokens but these."""
    return ~bitmask_of(ids, size)


def tokenize_fragment(vocabulary: Vocabulary, text: str) -> list[int]:
    """Tokenizes a text as it appears in the middle of an output; recognises control tokens.

    Some tokenizers put a space before their input, which is right only at the start of a text.
    """
    ids = vocabulary.tokenize(text, True)
    if b"".join(map(vocabulary.token_bytes, ids)) == text.encode():
        return ids
    prefix = vocabulary.tokenize(_PREFIX, True)
    both = vocabulary.tokenize(_PREFIX + text, True)
    return both[len(prefix) :] if both[: len(prefix)] == prefix else ids


class TokenIndex:
    """Index of a vocabulary by token bytes; tokens without bytes are left out.

    Args:
        vocabulary: The model's tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        entries = ((vocabulary.token_bytes(token), token) for token in range(vocabulary.size))
        self._sorted = sorted(entry for entry in entries if entry[0])

    def prefixes_of(self, text: bytes) -> Iterator[tuple[bytes, int]]:
        """Yields bytes and id of the tokens whose bytes are a proper prefix of a text."""
        for length in range(1, len(text)):
            start = text[:length]
            for data, token in self.starting_with(start):
                if data != start:
                    break
                yield data, token

    def starting_with(self, text: bytes) -> Iterator[tuple[bytes, int]]:
        """Yields bytes and id of the tokens whose bytes start with a text; exact matches first."""
        at = bisect_left(self._sorted, (text, -1))
        while at < len(self._sorted) and self._sorted[at][0].startswith(text):
            yield self._sorted[at]
            at += 1

    def containing(self, text: bytes) -> list[tuple[bytes, int]]:
        """Returns bytes and id of the tokens whose bytes contain a text; scans every token."""
        return [entry for entry in self._sorted if text in entry[0]]
