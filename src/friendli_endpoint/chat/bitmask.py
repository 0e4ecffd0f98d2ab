"""Sets of tokens as the masks of a guide: bit `t % 32` of word `t // 32` is token `t`."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bitmask", "bitmask_of", "bitmask_without"]

Bitmask = NDArray[np.uint32]


def bitmask_of(ids: Iterable[int], size: int) -> Bitmask:
    """A mask of shape (ceil(size / 32),) that allows these tokens and no others."""
    mask = np.zeros((size + 31) // 32, np.uint32)
    for token in ids:
        mask[token // 32] |= np.uint32(1 << (token % 32))
    return mask


def bitmask_without(ids: Iterable[int], size: int) -> Bitmask:
    """A mask of shape (ceil(size / 32),) that allows all tokens but these."""
    return ~bitmask_of(ids, size)
