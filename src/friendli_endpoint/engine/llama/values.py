"""Converts saved sequence states between KV caches with and without flash attention, in numpy.

With flash attention llama.cpp stores the V cache by position; without it, transposed, by embedding
dimension. Everything else in the state of a sequence (`llama_state_seq_get_data`) is the same in
both: the metadata of the cells, then the keys of every layer, then the values of every layer.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["CELL_WORDS", "State", "StateReader", "transpose_values"]

State: TypeAlias = NDArray[np.uint8]
"""State of a sequence as llama.cpp saves it: bytes of shape (size,)."""

_MAGIC = 0xAF143CD8
CELL_WORDS = 3
"""32-bit words of a cell: its position, the number of its sequences (1), and the sequence id."""


def transpose_values(state: State) -> State:
    """Converts a state with transposed values to one without, and the other way round.

    Args:
        state: State of one sequence, from a context with `kv_unified` off.

    Returns:
        A new array of the same size.

    Raises:
        ValueError: The state is truncated or has an unknown layout.
    """
    reader = StateReader(state)
    cells, streams = reader.cells()
    reader.skip(4 * CELL_WORDS * cells)
    result = state.copy()
    flag_offset = reader.offset
    transposed, layers, *_ = reader.words(4)
    if transposed > 1 or layers > len(state):
        raise ValueError("the layers of the state are not where they are expected")
    result[flag_offset : flag_offset + 4].view(np.uint32)[0] = 1 - transposed
    for _ in range(layers):
        _type, low, high = reader.words(3)
        reader.skip(cells * (low + (high << 32)))
    parts = [result[: reader.offset]]
    for _ in range(layers):
        parts += _values(reader, cells, bool(transposed))
    parts.append(state[reader.offset :])
    if len(parts[-1]) != 4 * streams:
        raise ValueError("the values of the state are not where they are expected")
    return np.concatenate(parts)


class StateReader:
    """Reads a state from its start to its end; raises ValueError beyond the end.

    Args:
        state: The state.

    Attributes:
        offset: Number of bytes that were read.
    """

    def __init__(self, state: State) -> None:
        self.offset = 0
        self._state = state

    def cells(self) -> tuple[int, int]:
        """Reads up to the cells; returns their number, and that of the streams after them."""
        magic, _sequence, streams = self.words(3)
        if magic != _MAGIC:
            raise ValueError("the state does not begin with the magic number")
        cells = 0
        while not cells and streams:
            (cells,), streams = self.words(1), streams - 1
        return cells, streams

    def skip(self, size: int) -> State:
        """Reads bytes."""
        start, self.offset = self.offset, self.offset + size
        if self.offset > len(self._state):
            raise ValueError("the state is truncated")
        return self._state[start : self.offset]

    def words(self, count: int) -> list[int]:
        """Reads 32-bit words."""
        return [int(word) for word in np.frombuffer(self.skip(4 * count), "<u4")]


def _values(reader: StateReader, cells: int, transposed: bool) -> list[State]:
    """Reads the values of a layer; returns their header and the values, transposed."""
    kind, *shape = reader.words(3)
    size, width = shape if transposed else (2, shape[0] // 2)
    if kind != 1 or size != 2 or (shape[1] and not transposed):
        raise ValueError("the values of the state do not have 16 bits")
    rows = (width, cells) if transposed else (cells, width)
    values = np.frombuffer(reader.skip(2 * cells * width), np.uint16).reshape(rows).T
    header = [kind, 2 * width, 0] if transposed else [kind, 2, width]
    header_bytes = np.array(header, "<u4").view(np.uint8)
    return [header_bytes, np.ascontiguousarray(values).reshape(-1).view(np.uint8)]
