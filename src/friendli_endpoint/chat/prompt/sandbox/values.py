"""Measures of nested values, and their texts."""

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Sequence, ValuesView
from itertools import chain
from typing import Any

from jinja2.runtime import Macro
from jinja2.utils import Namespace

from friendli_endpoint.chat.prompt.sandbox.meter import (
    MAX_DEPTH,
    POINTER,
    Meter,
    SandboxError,
    charged,
    check_size,
    current,
)

__all__ = [
    "SCALARS",
    "State",
    "as_text",
    "joined",
    "kept",
    "measure",
    "measures_of",
    "representation",
]

SCALARS = frozenset({str, int, float, bool, type(None)})
"""Types whose values have no items and are cheap to compare."""

ESCAPED = 10
"""Maximum number of characters by which `repr` writes one character, as in `\\U0001f600`."""

_CONTAINERS = (list, tuple, dict, KeysView, ValuesView, ItemsView)
_OPAQUE_SIZE = 120
"""More than the length of the text of a function, a loop or an iterator."""


class State(Namespace):
    """Namespace of Jinja whose text does not contain its values, so that it needs no measuring."""

    def __repr__(self) -> str:
        return "<Namespace>"


def measure(value: Any) -> int:
    """Returns the size of a value: its characters, and `POINTER` for each item, recursively.

    Raises:
        SandboxError: The size exceeds `MAX_CHARACTERS`, or the nesting `MAX_DEPTH`.
    """
    return len(value) if type(value) is str else measures_of(value)[0]


def measures_of(value: Any) -> tuple[int, int, int]:
    """Returns the size, the depth and the number of items of a value, all recursively.

    Lists and objects do not change during a rendering, so each is measured once. Parts that are
    shared count as often as they occur, as they do in the time that it takes to write a value.

    Raises:
        SandboxError: The size exceeds `MAX_CHARACTERS`, or the nesting `MAX_DEPTH`.
    """
    if not isinstance(value, _CONTAINERS):
        return _scalar_size(value), 0, 0
    meter = current()
    pending = [value]
    while pending:
        meter.check_time()
        item = pending[-1]
        inner = {
            id(part): part
            for part in _parts(item)
            if isinstance(part, _CONTAINERS) and id(part) not in meter.measures
        }
        if inner:
            pending += inner.values()
            continue
        pending.pop()
        if id(item) not in meter.measures:
            meter.remember(item, _sum(meter, item))
    _, size, depth, count = meter.measures[id(value)]
    return size, depth, count


def _sum(meter: Meter, container: Any) -> tuple[int, int, int]:
    size = depth = count = 0
    for part in _parts(container):
        if isinstance(part, _CONTAINERS):
            _, part_size, part_depth, part_count = meter.measures[id(part)]
            depth = max(depth, part_depth)
        else:
            part_size, part_count = _scalar_size(part), 0
        size += POINTER + part_size
        count += 1 + part_count
        check_size(size)
    if depth >= MAX_DEPTH:
        raise SandboxError(f"the chat template nests values more than {MAX_DEPTH} levels deep")
    return size + POINTER, depth + 1, count


def _parts(container: Any) -> Iterable[Any]:
    if isinstance(container, dict):
        return chain(container, container.values())
    return chain.from_iterable(container) if isinstance(container, ItemsView) else container


def _scalar_size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if value is None or isinstance(value, bool):
        return 5
    if isinstance(value, int):
        return value.bit_length() // 3 + 2
    if isinstance(value, float):
        return 24
    return _OPAQUE_SIZE + (len(value.name or "") if isinstance(value, Macro) else 0)


def as_text(value: Any) -> str:
    """Returns the text of a value, as `str` does."""
    if type(value) is str:
        return value
    current().require(ESCAPED * measure(value))
    return charged(str(value))  # type: ignore[no-any-return]


def representation(value: Any) -> str:
    """Returns the text of a value, as `repr` does."""
    current().require(ESCAPED * measure(value))
    return charged(repr(value))  # type: ignore[no-any-return]


def joined(separator: str, texts: Sequence[str]) -> str:
    """Returns texts with a separator between them; checks the size of the result before."""
    check_size(sum(map(len, texts)) + len(separator) * len(texts))
    return charged(separator.join(texts))  # type: ignore[no-any-return]


def kept(items: Iterable[Any]) -> list[Any]:
    """Returns the items of an iterable as a list."""
    meter = current()
    values: list[Any] = []
    for number, item in enumerate(_iterated(items), 1):
        values.append(item)
        check_size(POINTER * number)
        meter.check_time()
    return charged(values)  # type: ignore[no-any-return]


_CREATED_BYTES: tuple[tuple[type[Any], int], ...] = ((str, 88), (range, 32), (ItemsView, 80))
"""Memory of each item of an iterable whose items are created by iterating over it."""


def _iterated(items: Any) -> Iterator[Any]:
    for kind, size in _CREATED_BYTES:
        if isinstance(items, kind):
            check_size(POINTER * len(items))
            current().spend(size * len(items))
    return iter(items)
