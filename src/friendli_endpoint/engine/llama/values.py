"""The saved state of a sequence, with its values laid out the other way: pure, in numpy.

With flash attention llama.cpp keeps the values of a position together; without it, those of a
dimension. All else that it saves of a sequence (`llama_state_seq_get_data`) is the same: what the
cells hold, then the keys of every layer, then the values.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["State", "transpose_values"]

State: TypeAlias = NDArray[np.uint8]
"""Bytes, shape (size,)."""

_MAGIC = 0xAF143CD8
_CELL = 3
"""Words of a cell: its position, how many sequences hold it, and the one that does."""


def transpose_values(state: State) -> State:
    """The same state for a cache that keeps its values the other way.

    Args:
        state: Of one sequence, in a context where each has a cache of its own.

    Raises:
        ValueError: It is laid out in another way than we know.
    """
    reader = _Reader(state)
    magic, _sequence, streams = reader.words(3)
    if magic != _MAGIC:
        raise ValueError("a state does not begin as one")
    cells = 0
    while not cells and streams:
        (cells,), streams = reader.words(1), streams - 1
    reader.skip(4 * _CELL * cells)
    result = state.copy()
    flag = reader.at
    by_dimension, layers, *_ = reader.words(4)
    if by_dimension > 1 or layers > len(state):
        raise ValueError("the layers of a state are not where they should be")
    result[flag : flag + 4].view(np.uint32)[0] = 1 - by_dimension
    for _ in range(layers):
        _type, low, high = reader.words(3)
        reader.skip(cells * (low + (high << 32)))
    parts = [result[: reader.at]]
    for _ in range(layers):
        parts += _values(reader, cells, bool(by_dimension))
    parts.append(state[reader.at :])
    if len(parts[-1]) != 4 * streams:
        raise ValueError("the values of a state are not where they should be")
    return np.concatenate(parts)


class _Reader:
    """A place in a state, moving on; ValueError beyond its end."""

    def __init__(self, state: State) -> None:
        self.at = 0
        self._state = state

    def skip(self, size: int) -> State:
        start, self.at = self.at, self.at + size
        if self.at > len(self._state):
            raise ValueError("a state ends too early")
        return self._state[start : self.at]

    def words(self, count: int) -> list[int]:
        return [int(word) for word in np.frombuffer(self.skip(4 * count), "<u4")]


def _values(reader: _Reader, cells: int, by_dimension: bool) -> list[State]:
    """The values of a layer: what tells of them, and they themselves."""
    kind, *shape = reader.words(3)
    size, width = shape if by_dimension else (2, shape[0] // 2)
    if kind != 1 or size != 2 or (shape[1] and not by_dimension):
        raise ValueError("the values of a state are not of 16 bits")
    rows = (width, cells) if by_dimension else (cells, width)
    values = np.frombuffer(reader.skip(2 * cells * width), np.uint16).reshape(rows).T
    told = [kind, 2 * width, 0] if by_dimension else [kind, 2, width]
    told_bytes = np.array(told, "<u4").view(np.uint8)
    return [told_bytes, np.ascontiguousarray(values).reshape(-1).view(np.uint8)]
