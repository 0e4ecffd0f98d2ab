"""How long a number in JSON may grow: a grammar lets digits follow digits without end.

Models that repeat themselves do not stop at `0.333`. No number that means something has more than
`_MOST_DIGITS` digits in a row, and with an exponent of two digits it is within what floats hold.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from friendli_endpoint.chat.tokens import Bitmask, bitmask_without
from friendli_endpoint.generation import Vocabulary

__all__ = ["DigitMasks", "JsonNumber", "digit_masks"]

_MOST_DIGITS = 40
_MOST_EXPONENT_DIGITS = 2

DigitMasks = Mapping[int, Bitmask]
"""A number of digits to the tokens that do not begin with more of them."""


def digit_masks(vocabulary: Vocabulary) -> DigitMasks:
    """The masks of a vocabulary, for every number of digits that some token exceeds."""
    leading = re.compile(rb"[0-9]*")
    counts = np.zeros(vocabulary.size, np.int64)
    for token in range(vocabulary.size):
        found = leading.match(vocabulary.token_bytes(token))
        counts[token] = found.end() if found else 0
    longest = int(counts.max())
    return {
        digits: bitmask_without(np.flatnonzero(counts > digits).tolist(), vocabulary.size)
        for digits in range(min(longest, _MOST_DIGITS))
    }


@dataclass(slots=True)
class JsonNumber:
    """Where JSON text stands, as far as the length of its numbers goes."""

    _in_string: bool = False
    _escaped: bool = False
    _in_exponent: bool = False
    _digits: int = 0

    def feed(self, piece: bytes) -> None:
        """Takes the next part of the text."""
        for byte in piece:
            if self._in_string:
                self._in_string = self._escaped or byte != 0x22
                self._escaped = byte == 0x5C and not self._escaped
            elif 0x30 <= byte <= 0x39:
                self._digits += 1
            else:
                self._in_string = byte == 0x22
                self._in_exponent = byte in b"eE" or (self._in_exponent and byte in b"+-")
                self._digits = 0

    def restrict(self, mask: Bitmask, masks: DigitMasks) -> None:
        """Takes the tokens out of a mask that would make a number too long.

        Args:
            mask: What may come next; changed in place, unless nothing would be left.
            masks: Of the vocabulary.
        """
        if self._in_string:
            return
        most = _MOST_EXPONENT_DIGITS if self._in_exponent else _MOST_DIGITS
        shorter = masks.get(max(most - self._digits, 0))
        if shorter is not None and (mask & shorter).any():
            np.bitwise_and(mask, shorter, out=mask)
