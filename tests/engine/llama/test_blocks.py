"""Blocks of a saved state: splitting and joining, for states with cells in any order."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from friendli_endpoint.engine.core.backend import BLOCK_TOKENS
from friendli_endpoint.engine.llama.blocks import BlockCodec
from friendli_endpoint.engine.llama.values import State

LAYERS, KEY_BYTES, WIDTH = 2, 6, 5


def state_of(order: Sequence[int], *, stream: int = 0, streams: int = 3) -> State:
    """Returns a state of a sequence whose cells have these positions; its data name theirs."""
    words: list[int] = [0xAF143CD8, 0, streams, *[0] * stream, len(order)]
    for position in order:
        words += [position, 1, stream]
    parts = [np.array([*words, 1, LAYERS, 0, 0], "<u4").view(np.uint8)]
    positions = np.array(order, np.uint16)
    for layer in range(LAYERS):
        keys = positions[:, None] * 100 + 10 * layer + np.arange(KEY_BYTES // 2)
        parts += [np.array([1, KEY_BYTES, 0], "<u4").view(np.uint8), flat(keys)]
    for layer in range(LAYERS):
        values = positions[None, :] * 100 + 50 + 10 * layer + np.arange(WIDTH)[:, None]
        parts += [np.array([1, 2, WIDTH], "<u4").view(np.uint8), flat(values)]
    return np.concatenate([*parts, np.zeros(4 * (streams - stream - 1), np.uint8)])


def flat(values: NDArray[Any]) -> State:
    return np.ascontiguousarray(values.astype(np.uint16)).reshape(-1).view(np.uint8)


@given(
    num_blocks=st.integers(1, 3),
    extra=st.integers(0, 9),
    stream=st.integers(0, 2),
    shuffled=st.booleans(),
    seed=st.integers(),
)
def test_joined_blocks_are_the_state_of_their_tokens(
    num_blocks: int, extra: int, stream: int, shuffled: bool, seed: int
) -> None:
    order = list(range(BLOCK_TOKENS * num_blocks + extra))
    if shuffled:
        random.Random(seed).shuffle(order)
    codec = BlockCodec(state_of([0, 1]))
    blocks = [codec.split(state_of(order, stream=stream), index) for index in range(num_blocks)]
    assert {block.size for block in blocks} == {codec.format.num_bytes}
    expected = state_of(range(BLOCK_TOKENS * num_blocks))
    assert codec.join(blocks).tobytes() == expected.tobytes()


def test_equal_layouts_have_equal_formats() -> None:
    first, second = BlockCodec(state_of([0])), BlockCodec(state_of(range(5), stream=2))
    assert first.format == second.format
    changed = state_of([0]).copy()
    changed.view("<u4")[11] = 2  # the type of the keys
    assert BlockCodec(changed).format != first.format


@pytest.mark.parametrize("size", [0, 3, 12, 40, 60, 80, -1, -4, -8])
def test_truncated_states_are_rejected(size: int) -> None:
    with pytest.raises(ValueError, match="state"):
        BlockCodec(state_of([0, 1])[:size])


@pytest.mark.parametrize(("word", "value"), [(0, 1), (10, 0), (11, 99), (15, 1 << 30)])
def test_unknown_states_are_rejected(word: int, value: int) -> None:
    state = state_of([0, 1]).copy()
    state[: state.size // 4 * 4].view("<u4")[word] = value
    with pytest.raises(ValueError, match="state"):
        BlockCodec(state)
