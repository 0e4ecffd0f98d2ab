"""Tokens of a vocabulary, by what they do to the items of an array."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.chat.tokens import Bitmask
from friendli_endpoint.generation import Vocabulary

__all__ = ["BLANKS", "UniqueMasks"]

BLANKS = b" \n\r\t"
_STRUCTURAL = re.compile(rb'[]["{},]|[\w.+-]\s|^[eE]|[0-9][eE]')
_EXPONENT = re.compile(rb"^[eE]|[0-9][eE]")
_DELIMITERS = b",]}" + BLANKS
_SCALAR = frozenset(b"+-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class UniqueMasks:
    """Tokens of a vocabulary, by what they do to the items of an array whose items must differ.

    All methods take whether the output so far is inside a string, as `in_string`. A backslash
    before the token makes no difference to them except in `canonical`.

    Args:
        vocabulary: The model's tokens.

    Attributes:
        max_length: Length of the longest token, in bytes.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._tokens = [vocabulary.token_bytes(token) for token in range(vocabulary.size)]
        self.max_length = max(map(len, self._tokens))
        self._ids: dict[bytes, list[int]] = {}
        for token, text in enumerate(self._tokens):
            if text and token not in vocabulary.control_ids:
                self._ids.setdefault(text, []).append(token)
        self._sorted = sorted(self._ids)
        self._structural = [
            token for token, text in enumerate(self._tokens) if _STRUCTURAL.search(text)
        ]
        self._first: dict[int, list[int]] = {}
        for text, tokens in self._ids.items():
            stripped = text.lstrip(BLANKS)
            self._first.setdefault(stripped[0] if stripped else 0x20, []).extend(tokens)
        bytes_alone = [self._ids.get(bytes([value]), [0])[0] for value in range(256)]
        self._alone = np.array(bytes_alone, np.int64)
        self._is_alone = np.array([bytes([value]) in self._ids for value in range(256)])
        self.canonical = lru_cache(100_000)(self._canonical)
        self.separate = cache(self._separate)
        self.closing = cache(self._closing)
        self.ending = cache(self._ending)
        self.without_exponent = cache(self._without_exponent)
        self._warm_up()

    def _warm_up(self) -> None:
        """Makes the masks that most outputs need, so that no step of an output waits for them."""
        self.without_exponent()
        for in_string in (False, True):
            self.separate(in_string)
            for inside in (False, True):
                self.closing(in_string, int(inside))
                self.ending(in_string, inside)

    def bytes_in(self, mask: Bitmask) -> int:
        """Returns the bytes that a mask allows next, as bits; only those that are tokens alone."""
        bits = (mask[self._alone >> 5] >> (self._alone & 31).astype(np.uint32)) & 1
        allowed = bits.astype(np.bool_) & self._is_alone
        return int.from_bytes(np.packbits(allowed, bitorder="little").tobytes(), "little")

    def starting(self, first: int) -> list[int]:
        """Returns the tokens with this first byte after white space; a space: only white space."""
        return self._first.get(first, [])

    def along(self, text: bytes, start: int, end: int) -> Iterator[int]:
        """Yields the tokens inside a string that are a prefix of a text, or continue beyond it.

        Args:
            text: What might follow.
            start: Minimum length of what they share with it.
            end: Length up to the end of the string; tokens that continue share this much.
        """
        for length in range(start, min(end, self.max_length + 1)):
            yield from self._ids.get(text[:length], ())
        quoted = text[:end]
        if len(quoted) > self.max_length:
            return
        for place in range(bisect_left(self._sorted, quoted), len(self._sorted)):
            if not self._sorted[place].startswith(quoted):
                return
            yield from self._ids[self._sorted[place]]

    def _canonical(self, token: int, in_string: bool, escaped: bool) -> bytes:
        """Returns the bytes of a token without white space outside strings."""
        out = bytearray()
        for byte in self._tokens[token]:
            if in_string or byte not in BLANKS:
                out.append(byte)
            if in_string:
                in_string = escaped or byte != 0x22
                escaped = byte == 0x5C and not escaped
            else:
                in_string = byte == 0x22
        return bytes(out)

    def _separate(self, in_string: bool) -> Bitmask:
        """Returns the mask of the tokens that do not concern two items at once.

        After a comma they have only white space. No string, object or array begins and ends within
        them, no number or `true` ends before their end, and no object or array ends with a string
        of which they have a part.
        """
        return self._where(lambda text: not _concerns_two(text, in_string))

    def _closing(self, in_string: bool, depth: int) -> Bitmask:
        """Returns the mask without the tokens that end a value at once.

        Args:
            in_string: Whether the output is inside a string.
            depth: Number of objects and arrays that end with the value; 0 for a string or number.
        """
        if not in_string and depth == 0:
            starts = [text[:1] not in _DELIMITERS_SET for text in self._tokens]
            return _packed(np.array(starts, np.bool_))
        return self._where(lambda text: not _ends(text, in_string, depth))

    def _without_exponent(self) -> Bitmask:
        """Returns the mask of the tokens that do not begin the exponent of a number."""
        return self._where(lambda text: not _EXPONENT.search(text))

    def _ending(self, in_string: bool, inside: bool) -> Bitmask:
        """Returns the mask without the tokens with a comma that may follow an item.

        Args:
            in_string: Whether the output is inside a string.
            inside: Whether it is inside an object or array that is an item.
        """
        return self._where(lambda text: not _has_comma(text, in_string, inside))

    def _where(self, holds: Callable[[bytes], bool]) -> Bitmask:
        allowed = np.ones(len(self._tokens), np.bool_)
        for token in self._structural:
            allowed[token] = holds(self._tokens[token])
        return _packed(allowed)


_DELIMITERS_SET = frozenset(bytes([value]) for value in _DELIMITERS)


def _packed(allowed: NDArray[np.bool_]) -> Bitmask:
    packed = np.packbits(allowed, bitorder="little")
    return np.pad(packed, (0, -len(packed) % 4)).view(np.uint32)


def _concerns_two(text: bytes, in_string: bool) -> bool:
    escaped = after_comma = opened = False
    part = before = 0
    for byte in text:
        if in_string:
            in_string = escaped or byte != 0x22
            escaped = byte == 0x5C and not escaped
            if opened and not in_string:
                return True
            part, before = part + in_string, 0
            continue
        if (
            (after_comma and byte not in BLANKS)
            or (before in _SCALAR and byte in _DELIMITERS)
            or (byte in b"]}" and (part > 0 or opened))
        ):
            return True
        after_comma = after_comma or byte == 0x2C
        opened = opened or byte in b'"[{'
        in_string = byte == 0x22
        before = byte
    return False


def _ends(text: bytes, in_string: bool, depth: int) -> bool:
    if in_string:
        if text[:1] != b'"':
            return False
        text = text[1:]
    closed = 0
    for byte in text:
        if closed == depth:
            break
        if byte in b"]}":
            closed += 1
        elif byte not in BLANKS:
            break
    return closed == depth


def _has_comma(text: bytes, in_string: bool, inside: bool) -> bool:
    escaped = False
    for byte in text:
        if in_string:
            in_string = escaped or byte != 0x22
            escaped = byte == 0x5C and not escaped
            continue
        if byte == 0x2C and not inside:
            return True
        inside = inside and byte not in b"]}"
        in_string = byte == 0x22
    return False
