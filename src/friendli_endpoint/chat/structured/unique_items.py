"""Enforcement of `uniqueItems`, beside the grammar: a grammar cannot compare items.

The tokens that would end an item as a copy of an earlier one are excluded, and so are those after
which the item could only become such a copy. Where the grammar leaves a choice is known from the
masks of earlier items. Items count as equal if most programs would read them as equal: numbers are
compared as 64-bit floats, objects regardless of the order of their properties.
"""

import json
from copy import copy
from dataclasses import dataclass

import numpy as np

from friendli_endpoint.chat.structured.unique_arrays import Schemas, UniqueArrays
from friendli_endpoint.chat.structured.unique_masks import BLANKS, UniqueMasks
from friendli_endpoint.chat.structured.unique_values import Items, Rivals
from friendli_endpoint.chat.tokens import Bitmask

__all__ = ["UniqueItems"]

_DELIMITERS = sum(1 << byte for byte in b",]}")
_WHITE_SPACE = sum(1 << byte for byte in BLANKS)


@dataclass(slots=True)
class _Container:
    """An object or array that has begun.

    Attributes:
        schemas: The schemas that might apply to it.
        closing: The byte that ends it.
        items: The items of an array if they must differ, else None.
        index: Number of its items or properties that are complete.
        name: Name of the current property, as JSON.
        in_name: Whether a name is next, or has begun.
    """

    schemas: Schemas
    closing: int
    items: Items | None = None
    index: int = 0
    name: bytes = b""
    in_name: bool = False


class UniqueItems:
    """State of an output, as far as arrays whose items must differ are concerned.

    Args:
        arrays: The arrays of the schema.
        masks: The tokens of the vocabulary.
    """

    def __init__(self, arrays: UniqueArrays, masks: UniqueMasks) -> None:
        self._arrays = arrays
        self._masks = masks
        self._stack: list[_Container] = []
        self._in_string = self._escaped = self._in_scalar = False
        self._was_asked = False

    def copy(self) -> "UniqueItems":
        """Returns an independent copy."""
        copied = copy(self)
        copied._stack = [copy(container) for container in self._stack]
        for container in copied._stack:
            container.items = container.items.copy() if container.items is not None else None
        return copied

    @property
    def _all_items(self) -> list[Items]:
        return [container.items for container in self._stack if container.items is not None]

    @property
    def is_inside(self) -> bool:
        """Whether the output is inside an array whose items must differ."""
        return any(container.items is not None for container in self._stack)

    @property
    def is_dead(self) -> bool:
        """Whether an item can only become equal to an earlier one."""
        return any(items.is_open and items.is_dead() for items in self._all_items)

    def restrict(self, mask: Bitmask) -> None:
        """Removes the tokens from a mask after which items would be equal.

        Args:
            mask: The tokens that the grammar allows; changed in place.
        """
        separate = self._masks.separate(self._in_string)
        if (mask & separate).any():
            np.bitwise_and(mask, separate, out=mask)
        self._was_asked = True
        if not self.is_inside:
            return
        # An item has the same continuations in every place: those that the grammar and the arrays
        # inside it leave, before the arrays around it exclude copies. So inner arrays come first.
        for items in reversed(self._all_items):
            inner = self._stack[items.level + 1 :]
            self._observe(items, self._masks.bytes_in(mask), is_whole=not inner)
            quote = b'"' if self._in_string else b""
            ending = quote + bytes(container.closing for container in reversed(inner))
            if len(items) and (items.is_open or self._is_next(items)):
                self._exclude_repeated(mask, items, ending, len(inner))
                self._exclude_dead(mask, items)
            if not self._is_next(items) and items.is_exhausted(ending):
                np.bitwise_and(mask, self._masks.ending(self._in_string, bool(inner)), out=mask)

    def feed(self, token_bytes: bytes, is_forced: bool = False) -> bool:
        """Advances by the bytes of a token.

        Args:
            token_bytes: The bytes.
            is_forced: Whether the grammar left no choice.

        Returns:
            Whether all items that are complete still differ.
        """
        if not self._was_asked and not is_forced:
            for items in self._all_items:
                items.current.is_known = False
        self._was_asked = False
        differ = True
        for byte in token_bytes:
            differ = self._feed(byte) and differ
        return differ

    def _is_next(self, items: Items) -> bool:
        """Whether an item is next, rather than the end of the last one."""
        array = self._stack[items.level]
        return not items.is_open and array.index == len(items)

    def _observe(self, items: Items, allowed: int, *, is_whole: bool) -> None:
        """Notes which bytes the grammar allows next in an item."""
        if not items.is_open and not self._is_next(items):
            return
        if not self._in_string:
            allowed &= ~_WHITE_SPACE
            if is_whole and (self._in_scalar or not items.is_open):
                allowed &= ~_DELIMITERS
        items.current.exits[len(items.current.text)] = allowed

    def _exclude_repeated(self, mask: Bitmask, items: Items, ending: bytes, depth: int) -> None:
        if self._escaped or not items.is_open:
            return
        if self._in_scalar and not depth and not items.current.text[:1].isalpha():
            # An exponent of two digits might only lead to a number that occurs already.
            np.bitwise_and(mask, self._masks.without_exponent(), out=mask)
        if items.repeats(ending):
            np.bitwise_and(mask, self._masks.closing(self._in_string, depth), out=mask)

    def _exclude_dead(self, mask: Bitmask, items: Items) -> None:
        place, max_length = len(items.current.text), self._masks.max_length
        rivals = items.rivals()
        near = [item for item in rivals if item.last_exit < place + max_length]
        if not near:
            return
        tokens: set[int] = set()
        if self._in_string:
            for item in near:
                rest = bytes(item.text[place : place + max_length + 1])
                alive = int(max(item.last_exit - place, 0))
                end = _length_of_string(rest, self._escaped)
                tokens.update(self._masks.along(rest, alive + 1, end))
        else:
            for first in {item.text[place] for item in near if place < len(item.text)}:
                tokens.update(self._masks.starting(first))
        found = Rivals(rivals, place)
        for token in tokens:
            word, bit = token >> 5, np.uint32(1 << (token & 31))
            if mask[word] & bit:
                text = self._masks.canonical(token, self._in_string, self._escaped)
                if found.forbid(text):
                    mask[word] &= ~bit

    def _feed(self, byte: int) -> bool:
        if self._in_string:
            self._note(byte)
            self._in_string = self._escaped or byte != 0x22
            self._escaped = byte == 0x5C and not self._escaped
            return self._in_string or self._end_string()
        differ = True
        if self._in_scalar and byte in b",]} \n\r\t":
            self._in_scalar = False
            differ = self._end_value()
        if byte in BLANKS:
            return differ
        if byte in b"]}":
            if self._stack:
                self._stack.pop()
            self._note(byte)
            return self._end_value() and differ
        if byte in b",:":
            self._note(byte)
            self._separate(is_comma=byte == 0x2C)
            return differ
        self._begin(byte)
        return differ

    def _begin(self, byte: int) -> None:
        """Reads the first byte of a value or name, or a byte of a number."""
        container = self._stack[-1] if self._stack else None
        is_name = container is not None and container.in_name
        if self._in_scalar or is_name:
            if is_name and container is not None:
                container.name = b""
            self._note(byte)
            self._in_string = byte == 0x22
            return
        schemas = self._schemas_of_next()
        if container is not None and container.items is not None:
            container.items.is_open = True
        self._note(byte)
        if byte in b"[{":
            is_unique = byte == 0x5B and self._arrays.is_unique(schemas)
            constants = self._arrays.constants(schemas) if is_unique else frozenset()
            items = Items(len(self._stack), constants) if is_unique else None
            self._stack.append(_Container(schemas, byte + 2, items, in_name=byte == 0x7B))
        self._in_string = byte == 0x22
        self._in_scalar = byte not in b'"[{'

    def _schemas_of_next(self) -> Schemas:
        if not self._stack:
            return self._arrays.start
        container = self._stack[-1]
        if not container.schemas:
            return container.schemas
        if container.closing == 0x5D:
            return self._arrays.of_item(container.schemas, container.index)
        try:
            name = json.loads(b'"' + container.name)
        except ValueError:
            name = ""
        return self._arrays.of_property(container.schemas, str(name))

    def _note(self, byte: int) -> None:
        """Adds a byte to the items that it belongs to, and to the name of a property."""
        for container in self._stack:
            if container.items is not None and container.items.is_open:
                container.items.current.text.append(byte)
        if self._in_string and self._stack and self._stack[-1].in_name:
            self._stack[-1].name += bytes([byte])

    def _separate(self, *, is_comma: bool) -> None:
        if self._stack:
            container = self._stack[-1]
            container.index += is_comma
            container.in_name = is_comma and container.closing == 0x7D

    def _end_string(self) -> bool:
        if self._stack and self._stack[-1].in_name:
            return True
        return self._end_value()

    def _end_value(self) -> bool:
        if not self._stack or self._stack[-1].items is None:
            return True
        return self._stack[-1].items.end()


def _length_of_string(text: bytes, escaped: bool) -> int:
    """Returns the length up to the end of the string that a text continues."""
    for place, byte in enumerate(text):
        if byte == 0x22 and not escaped:
            return place + 1
        escaped = byte == 0x5C and not escaped
    return len(text)
