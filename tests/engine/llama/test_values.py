"""States of sequences as llama.cpp saves them, with and without transposed values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from friendli_endpoint.engine.llama.values import State, transpose_values

MAGIC, F16 = 0xAF143CD8, 1


def words(*numbers: int) -> bytes:
    return np.array(numbers, "<u4").tobytes()


def state_of(
    values: NDArray[np.uint16], keys: int, transposed: bool, stream: int, streams: int
) -> State:
    """Builds a state from values of shape (layers, cells, width)."""
    layers, cells, width = values.shape
    parts = [words(MAGIC, stream, streams), words(*[0] * stream), words(cells)]
    parts += [words(position, 1, stream) for position in range(cells)]
    parts += [words(transposed, layers, 0, 0)]
    for layer in range(layers):
        parts += [words(F16, keys, 0), bytes([layer]) * (keys * cells)]
    for layer in values:
        if transposed:
            parts += [words(F16, 2, width), layer.T.tobytes()]
        else:
            parts += [words(F16, 2 * width, 0), layer.tobytes()]
    parts += [words(*[0] * (streams - stream - 1))]
    return np.frombuffer(b"".join(parts), np.uint8)


@st.composite
def states(draw: st.DrawFn) -> tuple[State, State]:
    """The states of one sequence, with and without transposed values."""
    shape = [draw(st.integers(1, max_size)) for max_size in (3, 9, 6)]
    count = int(np.prod(shape))
    numbers = draw(st.lists(st.integers(0, 0xFFFF), min_size=count, max_size=count))
    values = np.array(numbers, np.uint16).reshape(shape)
    keys = 2 * draw(st.integers(1, 5))
    streams = draw(st.integers(1, 4))
    stream = draw(st.integers(0, streams - 1))
    untransposed, transposed = (
        state_of(values, keys, is_transposed, stream, streams) for is_transposed in (False, True)
    )
    return untransposed, transposed


@given(states())
def test_each_layout_is_converted_to_the_other(states: tuple[State, State]) -> None:
    untransposed, transposed = states
    assert np.array_equal(transpose_values(untransposed), transposed)
    assert np.array_equal(transpose_values(transposed), untransposed)


@given(states(), st.data())
def test_a_truncated_state_is_rejected(states: tuple[State, State], data: st.DataObject) -> None:
    state = data.draw(st.sampled_from(states))
    size = data.draw(st.integers(0, len(state) - 1))
    with pytest.raises(ValueError):
        transpose_values(state[:size])


@pytest.mark.parametrize(
    ("word", "value", "message"),
    [
        (0, 4, "magic number"),
        (4 + 3 * 2, 2, "layers"),
        (4 + 3 * 2 + 4 + 3 + 2, 8, "16 bits"),
    ],
)
def test_an_unknown_layout_is_rejected(word: int, value: int, message: str) -> None:
    state = state_of(np.zeros((1, 2, 3), np.uint16), 4, False, 0, 1).copy()
    state.view("<u4")[word] = value
    with pytest.raises(ValueError, match=message):
        transpose_values(state)
