"""Splits saved sequence states into blocks of tokens, and joins blocks to a state.

A state of the main cache consists of the metadata of its cells, the keys of every layer by
position, and the values of every layer by embedding dimension (`values.py`). A block has the keys
and values of `BLOCK_TOKENS` positions in the same order, without any metadata, which follows from
the number of tokens and from the model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from friendli_endpoint.engine.core.backend import BLOCK_TOKENS, Block, BlockFormat
from friendli_endpoint.engine.llama.values import CELL_WORDS, State, StateReader

__all__ = ["BlockCodec"]


@dataclass(frozen=True, slots=True)
class _Matrix:
    """Keys or values of a layer in a state.

    Attributes:
        header: The words before it.
        width: Size in bytes of the keys of a position, or number of embedding dimensions.
        item: Size of a value in bytes; 0 for keys.
    """

    header: State
    width: int
    item: int

    @property
    def bytes_per_token(self) -> int:
        """Size of one position in bytes."""
        return self.width * (self.item or 1)

    def view(self, data: State, tokens: int) -> NDArray[np.uint8]:
        """Returns keys as (tokens, width), and values as (width, tokens, item)."""
        shape = (self.width, tokens, self.item) if self.item else (tokens, self.width)
        return data.reshape(shape)

    def at(self, tokens: slice | NDArray[np.intp]) -> tuple[slice | NDArray[np.intp], ...]:
        """Returns the index of tokens in a view."""
        return (slice(None), tokens) if self.item else (tokens,)


class BlockCodec:
    """Splits and joins the states of one KV cache with transposed values.

    Args:
        state: State of any sequence in that cache, with at least one token.

    Raises:
        ValueError: The state has an unknown layout.
    """

    def __init__(self, state: State) -> None:
        reader = StateReader(state)
        tokens, streams = reader.cells()
        self._start = state[: reader.offset - 4].copy()
        reader.skip(4 * CELL_WORDS * tokens)
        flags_offset = reader.offset
        transposed, layers, *_ = reader.words(4)
        if transposed != 1 or not tokens or layers > state.size:
            raise ValueError("the layers of the state are not where they are expected")
        self._flags = state[flags_offset : reader.offset].copy()
        self._matrices = list(_read_matrices(reader, tokens, layers))
        self._end = state[reader.offset :].copy()
        if self._end.size != 4 * streams:
            raise ValueError("the values of the state are not where they are expected")
        headers = [matrix.header for matrix in self._matrices]
        self.format = BlockFormat(
            BLOCK_TOKENS * sum(matrix.bytes_per_token for matrix in self._matrices),
            np.concatenate([self._flags, *headers]).tobytes(),
        )

    def split(self, state: State, index: int) -> Block:
        """Returns a copy of a block of a state.

        Args:
            state: State of a sequence in the cache; its cells may have any order.
            index: Index of the block, which must be whole.
        """
        reader = StateReader(state)
        tokens, _ = reader.cells()
        cells = np.frombuffer(reader.skip(4 * CELL_WORDS * tokens), "<u4")
        order = np.argsort(cells[::CELL_WORDS])[_block_at(index)]
        reader.skip(self._flags.size)
        block = np.empty(self.format.num_bytes, np.uint8)
        parts = StateReader(block)
        for matrix in self._matrices:
            reader.skip(matrix.header.size)
            whole = matrix.view(reader.skip(matrix.bytes_per_token * tokens), tokens)
            part = parts.skip(matrix.bytes_per_token * BLOCK_TOKENS)
            matrix.view(part, BLOCK_TOKENS)[:] = whole[matrix.at(order)]
        return block

    def join(self, blocks: Sequence[Block]) -> State:
        """Returns the state of a sequence that consists of these blocks, in order."""
        tokens = BLOCK_TOKENS * len(blocks)
        cells = np.zeros((tokens, CELL_WORDS), np.uint32)
        cells[:, 0] = np.arange(tokens)
        cells[:, 1] = 1
        parts = [self._start, np.array([tokens], np.uint32).view(np.uint8)]
        parts += [cells.reshape(-1).view(np.uint8), self._flags]
        readers = [StateReader(block) for block in blocks]
        for matrix in self._matrices:
            data = np.empty(matrix.bytes_per_token * tokens, np.uint8)
            whole = matrix.view(data, tokens)
            for index, reader in enumerate(readers):
                part = reader.skip(matrix.bytes_per_token * BLOCK_TOKENS)
                whole[matrix.at(_block_at(index))] = matrix.view(part, BLOCK_TOKENS)
            parts += [matrix.header, data]
        return np.concatenate([*parts, self._end])


def _block_at(index: int) -> slice:
    return slice(index * BLOCK_TOKENS, (index + 1) * BLOCK_TOKENS)


def _read_matrices(reader: StateReader, tokens: int, layers: int) -> Iterator[_Matrix]:
    """Reads the keys of all layers, then the values of all layers.

    Raises:
        ValueError: The state is truncated.
    """
    for item_words in [0] * layers + [1] * layers:
        header = reader.skip(12).copy()
        _type, low, high = (int(word) for word in header.view("<u4"))
        item, width = (low, high) if item_words else (0, low + (high << 32))
        matrix = _Matrix(header, width, item)
        reader.skip(matrix.bytes_per_token * tokens)
        yield matrix
