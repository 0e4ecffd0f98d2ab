"""The items of one array whose items must differ, and the ways to another value than theirs."""

import json
import math
from bisect import bisect_left
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Item", "Items", "Rivals"]

_NONZERO = sum(1 << byte for byte in b"123456789")
_LITERALS = frozenset({b"true", b"false", b"null"})


@dataclass(slots=True)
class Item:
    """An item, complete or not.

    Attributes:
        text: Its JSON, without white space outside strings.
        exits: For positions in the text, the other bytes that the grammar allows there, as bits.
        is_known: Whether the grammar was asked at all positions where it leaves a choice.
        last_exit: The last position from which another value is possible, of a complete item;
            infinite if not known.
        num_exits: Number of the bytes in `exits`; infinite if not known.
    """

    text: bytearray = field(default_factory=bytearray)
    exits: dict[int, int] = field(default_factory=dict)
    is_known: bool = True
    last_exit: float = -1
    num_exits: float = 0

    def count_exits(self) -> None:
        """Updates `last_exit` and `num_exits`, which are read far more often than they change."""
        if not self.is_known:
            self.last_exit = self.num_exits = math.inf
            return
        self.last_exit = max((place for place, others in self.exits.items() if others), default=-1)
        self.num_exits = sum(map(int.bit_count, self.exits.values()))

    @property
    def is_scalar(self) -> bool:
        """Whether it is a number, true, false or null, which end only where something follows."""
        return bytes(self.text[:1]) not in (b'"', b"[", b"{")

    def copy(self) -> "Item":
        """Returns an independent copy."""
        exits = self.exits.copy()
        return Item(self.text.copy(), exits, self.is_known, self.last_exit, self.num_exits)


class Items:
    """The items of one array so far.

    Args:
        level: Number of arrays and objects around the array.
        constants: The JSON of all values that an item may have, if the schema lists them.

    Attributes:
        level: Number of arrays and objects around the array.
        current: The item that has begun, or is next.
        is_open: Whether it has begun and not ended.
    """

    def __init__(self, level: int, constants: frozenset[bytes] = frozenset()) -> None:
        self.level = level
        self._constants = constants
        self.current = Item()
        self.is_open = False
        self._items: list[Item] = []
        self._values: set[Hashable] = set()
        self._near: list[Item] | None = None
        self._place = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def copy(self) -> "Items":
        """Returns an independent copy."""
        copied = Items(self.level, self._constants)
        copied.current, copied.is_open = self.current.copy(), self.is_open
        copied._items = [item.copy() for item in self._items]
        copied._values = self._values.copy()
        copied._count = self._count
        return copied

    def end(self) -> bool:
        """Ends the current item; returns whether it differs from all before."""
        item, self.current = self.current, Item()
        self.is_open, self._near = False, None
        value = _value_of(bytes(item.text))
        is_new = value is None or value not in self._values
        if value is not None:
            self._values.add(value)
        self._add(item)
        self._count += 1
        if bytes(item.text) in (b"0", b"-0"):
            self._add(_other_zero(item))
        return is_new

    def repeats(self, ending: bytes) -> bool:
        """Whether the current item would equal one before if it ended with these bytes."""
        value = _value_of(bytes(self.current.text) + ending) if self._values else None
        return value is not None and value in self._values

    def rivals(self) -> list[Item]:
        """Returns the items before whose text begins with that of the current one."""
        text = bytes(self.current.text)
        if self._near is None:
            self._near, self._place = self._items, 0
        if len(text) > self._place:
            rest, place = text[self._place :], self._place
            self._near = [item for item in self._near if item.text.startswith(rest, place)]
            self._place = len(text)
        return self._near

    def is_dead(self) -> bool:
        """Whether the current item can only become equal to one before."""
        rivals, place = self.rivals(), len(self.current.text)
        return bool(rivals) and not any(item.last_exit >= place for item in rivals)

    def is_exhausted(self, ending: bytes = b"") -> bool:
        """Whether no other item can follow the last one, or the current one with this ending."""
        if not self.is_open:
            return bool(self._items) and not any(item.last_exit >= 0 for item in self._items)
        if any(item.num_exits > 1 for item in self._items):
            return False  # The current item can be only one of these.
        exits = self.current.exits.values()
        if any(others.bit_count() > len(self._items) + 1 for others in exits):
            return False
        following = self.copy()
        following.current.text.extend(ending)
        following.end()
        return following.is_exhausted()

    def _add(self, item: Item) -> None:
        """Adds an item; what leads to it does not lead to another value any more."""
        text = bytes(item.text)
        if text in self._constants:
            item.exits, item.is_known = _exits_among(self._constants, text), True
        elif text in _LITERALS:
            item.exits = {place: bits for place, bits in item.exits.items() if not place}
        for place in item.exits:
            if place < len(text):
                item.exits[place] &= ~(1 << text[place])
        first = item.exits.get(0)
        for before in self._items:
            if first is not None and before.exits.get(0):
                before.exits[0] &= first  # Fewer, once it is clear which alternative holds.
                before.count_exits()
            place = _num_shared(text, before.text)
            if place < len(before.text) and place in item.exits:
                item.exits[place] &= ~(1 << before.text[place])
            if place < len(text) and place in before.exits:
                before.exits[place] &= ~(1 << text[place])
                before.count_exits()
        item.count_exits()
        self._items.append(item)


def _exits_among(constants: frozenset[bytes], text: bytes) -> dict[int, int]:
    """Returns the exits of a constant: the bytes with which the others differ first."""
    exits: dict[int, int] = {}
    for constant in constants:
        place = _num_shared(text, constant)
        if place < len(constant):
            exits[place] = exits.get(place, 0) | 1 << constant[place]
    return exits


def _other_zero(zero: Item) -> Item:
    """Returns the other way to write a zero, which is equal: as far as it goes on, it may too."""
    text = bytearray(b"-0" if zero.text == b"0" else b"0")
    exits = {len(text): zero.exits.get(len(zero.text), 0)}
    if len(text) == 2:
        exits[1] = _NONZERO  # If the grammar allows a minus sign, then for these.
    return Item(text, exits, zero.is_known)


class Rivals:
    """Earlier items that the current item might still become equal to.

    Args:
        rivals: Those items; the text of each begins with that of the current item.
        place: Length of the text of the current item.
    """

    def __init__(self, rivals: list[Item], place: int) -> None:
        rests = sorted((bytes(item.text[place:]), item.last_exit - place) for item in rivals)
        self._rests = [rest for rest, _ in rests]
        self._exits = [last_exit for _, last_exit in rests]
        self._whole = {bytes(item.text[place:]) for item in rivals if not item.is_scalar}

    def forbid(self, text: bytes) -> bool:
        """Whether this continuation makes the item equal to one before, at once or in the end."""
        if any(text[:length] in self._whole for length in range(1, len(text) + 1)):
            return True
        is_near = False
        for place in range(bisect_left(self._rests, text), len(self._rests)):
            if not self._rests[place].startswith(text):
                break
            if self._exits[place] >= len(text):
                return False
            is_near = True
        return is_near


def _num_shared(first: bytes, second: bytes | bytearray) -> int:
    """Returns the length of the longest common beginning."""
    low, high = 0, min(len(first), len(second))
    if first[:high] == second[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if first[:middle] == second[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _value_of(text: bytes) -> Hashable | None:
    """Returns a value that is equal for equal JSON values; None for JSON that is not complete."""
    try:
        return _frozen(json.loads(text, parse_int=_number, parse_float=_number))
    except ValueError:
        return None


def _number(text: str) -> float:
    """Returns a number as most programs read it, so that items differ for these."""
    return float(text)


def _frozen(value: Any) -> Hashable:
    if isinstance(value, dict):
        return "object", frozenset((name, _frozen(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return "array", tuple(map(_frozen, value))
    return type(value).__name__, value
