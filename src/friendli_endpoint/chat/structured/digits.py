"""Limits on the length of JSON numbers: a grammar alone allows any number of digits.

A model that repeats itself does not stop at `0.333`. No meaningful number has more than
`_MAX_DIGITS` digits in a row, and with an exponent of two digits it stays within the range of
64-bit floats.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from friendli_endpoint.chat.tokens import Bitmask, bitmask_without
from friendli_endpoint.generation import Vocabulary

__all__ = ["DigitMasks", "JsonNumber", "digit_masks"]

_MAX_DIGITS = 40
_MAX_EXPONENT_DIGITS = 2

DigitMasks = Mapping[int, Bitmask]
"""For a number of digits, the mask of the tokens that begin with at most that many digits."""


def digit_masks(vocabulary: Vocabulary) -> DigitMasks:
    """Computes the masks of a vocabulary, for every number of digits that some token exceeds."""
    leading = re.compile(rb"[0-9]*")
    counts = np.zeros(vocabulary.size, np.int64)
    for token in range(vocabulary.size):
        found = leading.match(vocabulary.token_bytes(token))
        counts[token] = found.end() if found else 0
    max_leading = int(counts.max())
    return {
        digits: bitmask_without(np.flatnonzero(counts > digits).tolist(), vocabulary.size)
        for digits in range(min(max_leading, _MAX_DIGITS))
    }


@dataclass(slots=True)
class JsonNumber:
    """State of JSON text, as far as the length of its numbers is concerned."""

    _in_string: bool = False
    _escaped: bool = False
    _in_exponent: bool = False
    _digits: int = 0

    def feed(self, token_bytes: bytes) -> None:
        """Advances by the bytes of a token."""
        for byte in token_bytes:
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
        """Removes the tokens from a mask that would make a number too long.

        Args:
            mask: The allowed tokens; changed in place, unless no token would remain.
            masks: The masks of the vocabulary.
        """
        if self._in_string:
            return
        max_digits = _MAX_EXPONENT_DIGITS if self._in_exponent else _MAX_DIGITS
        within_limit = masks.get(max(max_digits - self._digits, 0))
        if within_limit is not None and (mask & within_limit).any():
            np.bitwise_and(mask, within_limit, out=mask)
