r"""Limits on generated JSON that a grammar does not set, or not in every version of the compiler.

A model that repeats itself does not stop at `0.333` or at a line break. No meaningful number has
more than `_MAX_DIGITS` digits in a row, and with an exponent of two digits it stays within the
range of 64-bit floats. Between two tokens of JSON there is nothing, a space, or a line break with
at most `_MAX_INDENT` spaces: before version 1.8 the compiler repeats its pattern of white space.
Strings have no escapes of the form `\u0061`, with which a name has two spellings: before version
1.8 the compiler allows them in names that a schema does not list.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.chat.tokens import Bitmask
from friendli_endpoint.generation import Vocabulary

__all__ = ["JsonMasks", "JsonText"]

_MAX_DIGITS = 40
_MAX_EXPONENT_DIGITS = 2
_MAX_INDENT = 16

_NO_SPACE, _SPACE, _LINE_BREAK = 0, 1, 2
"""White space so far; more than `_LINE_BREAK` is that many spaces after a line break."""
_NUM_RUNS = _LINE_BREAK + _MAX_INDENT + 1
_BLANKS = b" \n\r\t"
_LEADING = re.compile(rb"[ \n\r\t]*")
_DIGITS = re.compile(rb"[0-9]*")
_PLAIN = re.compile(rb'[ \n\r\t]*[^ \n\r\t"\\]*')


@dataclass(slots=True)
class JsonText:
    """State of JSON text, as far as the limits are concerned."""

    in_string: bool = False
    escaped: bool = False
    in_exponent: bool = False
    digits: int = 0
    blank: int = _NO_SPACE

    def feed(self, token_bytes: bytes) -> bool:
        """Advances by the bytes of a token.

        Returns:
            Whether white space and escapes are within the limits; the state then counts as before.
        """
        within = True
        for byte in token_bytes:
            if self.in_string:
                within = within and not (self.escaped and byte == 0x75)
                self.in_string = self.escaped or byte != 0x22
                self.escaped = byte == 0x5C and not self.escaped
                continue
            blank = _after(self.blank, byte)
            within = within and blank is not None
            self.blank = _NO_SPACE if blank is None else blank
            if 0x30 <= byte <= 0x39:
                self.digits += 1
            else:
                self.in_string = byte == 0x22
                self.in_exponent = byte in b"eE" or (self.in_exponent and byte in b"+-")
                self.digits = 0
        return within


class JsonMasks:
    """Tokens of a vocabulary that keep JSON text within the limits.

    Args:
        vocabulary: The model's tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        tokens = [vocabulary.token_bytes(token) for token in range(vocabulary.size)]
        digits = np.fromiter((_length(_DIGITS, text) for text in tokens), np.int64, len(tokens))
        self._digits = {
            count: _without(digits > count) for count in range(min(int(digits.max()), _MAX_DIGITS))
        }
        self._in_string = _without(_exceeding(tokens, JsonText(in_string=True)))
        self._escaped = _without(_exceeding(tokens, JsonText(in_string=True, escaped=True)))
        self._between = _masks_between(tokens)

    def restrict(self, mask: Bitmask, text: JsonText) -> None:
        """Removes the tokens from a mask that would exceed a limit.

        Args:
            mask: The allowed tokens; changed in place, unless no token would remain.
            text: The state of the output.
        """
        if text.in_string:
            _narrow(mask, self._escaped if text.escaped else self._in_string)
            return
        _narrow(mask, self._between[text.blank])
        max_digits = _MAX_EXPONENT_DIGITS if text.in_exponent else _MAX_DIGITS
        within_limit = self._digits.get(max(max_digits - text.digits, 0))
        if within_limit is not None:
            _narrow(mask, within_limit)


def _after(blank: int, byte: int) -> int | None:
    """Returns the white space after a byte outside a string; None if it is too much."""
    if byte not in _BLANKS:
        return _NO_SPACE
    if byte == 0x20 and blank == _NO_SPACE:
        return _SPACE
    if byte == 0x0A and blank == _NO_SPACE:
        return _LINE_BREAK
    return blank + 1 if byte == 0x20 and _LINE_BREAK <= blank < _NUM_RUNS - 1 else None


def _masks_between(tokens: list[bytes]) -> list[Bitmask]:
    """Returns the masks outside strings, by the white space so far.

    Whether a token is allowed there depends on its leading white space, of which a vocabulary has
    few kinds, and on the rest, which is the same for all.
    """
    kinds: dict[bytes, int] = {}
    leading = np.fromiter(
        (kinds.setdefault(text[: _length(_LEADING, text)], len(kinds)) for text in tokens),
        np.int64,
        len(tokens),
    )
    rests = [text[_length(_LEADING, text) :] for text in tokens]
    exceeding = _exceeding(rests, JsonText())
    masks = []
    for blank in range(_NUM_RUNS):
        too_long = [not JsonText(blank=blank).feed(kind) for kind in kinds]
        masks.append(_without(exceeding | np.array(too_long)[leading]))
    return masks


def _exceeding(tokens: list[bytes], start: JsonText) -> NDArray[np.bool_]:
    """Returns which tokens exceed a limit after a state."""

    def exceeds(text: bytes) -> bool:
        if not start.escaped and _PLAIN.fullmatch(text):
            return False
        state = JsonText(start.in_string, start.escaped)
        return not state.feed(text)

    return np.fromiter(map(exceeds, tokens), np.bool_, len(tokens))


def _length(pattern: re.Pattern[bytes], text: bytes) -> int:
    found = pattern.match(text)
    return found.end() if found else 0


def _without(excluded: NDArray[np.bool_]) -> Bitmask:
    packed = np.packbits(~excluded, bitorder="little")
    return np.pad(packed, (0, -len(packed) % 4)).view(np.uint32)


def _narrow(mask: Bitmask, within_limit: Bitmask) -> None:
    if (mask & within_limit).any():
        np.bitwise_and(mask, within_limit, out=mask)
