"""Sets of tokens as masks, and the tokens of a vocabulary by their bytes.

In a mask, bit `t % 32` of word `t // 32` is token `t`.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.generation import Vocabulary

__all__ = ["Bitmask", "TokenIndex", "bitmask_of", "bitmask_without", "spelling"]

Bitmask = NDArray[np.uint32]

_BEFORE = "\x02"
"""A character that no tokenizer joins with what follows it."""


def bitmask_of(ids: Iterable[int], size: int) -> Bitmask:
    """A mask of shape (ceil(size / 32),) that allows these tokens and no others."""
    mask = np.zeros((size + 31) // 32, np.uint32)
    for token in ids:
        mask[token // 32] |= np.uint32(1 << (token % 32))
    return mask


def bitmask_without(ids: Iterable[int], size: int) -> Bitmask:
    """A mask of shape (ceil(size / 32),) that allows all tokens but these."""
    return ~bitmask_of(ids, size)


def spelling(vocabulary: Vocabulary, text: str) -> list[int]:
    """The tokens of a text wherever it stands; control tokens written out in it are recognised.

    Some tokenizers put a space before all that they are given, which is right for a whole text.
    """
    ids = vocabulary.tokenize(text, True)
    if b"".join(map(vocabulary.token_bytes, ids)) == text.encode():
        return ids
    before = vocabulary.tokenize(_BEFORE, True)
    both = vocabulary.tokenize(_BEFORE + text, True)
    return both[len(before) :] if both[: len(before)] == before else ids


class TokenIndex:
    """Finds the tokens that can write a text.

    Args:
        vocabulary: The model's tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        written = ((vocabulary.token_bytes(token), token) for token in range(vocabulary.size))
        self._sorted = sorted(piece for piece in written if piece[0])

    def within(self, text: bytes) -> Iterator[tuple[bytes, int]]:
        """Tokens that are a beginning of a text, and not all of it; with their bytes."""
        for length in range(1, len(text)):
            start = text[:length]
            for piece, token in self.beyond(start):
                if piece != start:
                    break
                yield piece, token

    def beyond(self, text: bytes) -> Iterator[tuple[bytes, int]]:
        """Tokens that begin with a text, those first that are no more than it; with their bytes."""
        at = bisect_left(self._sorted, (text, -1))
        while at < len(self._sorted) and self._sorted[at][0].startswith(text):
            yield self._sorted[at]
            at += 1

    def around(self, text: bytes) -> list[tuple[bytes, int]]:
        """Tokens that have a text somewhere in them; with their bytes. Looks at every token."""
        return [piece for piece in self._sorted if text in piece[0]]
