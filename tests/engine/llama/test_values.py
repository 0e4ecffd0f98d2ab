"""States of sequences as llama.cpp writes them, with the values laid out in either way."""

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
    values: NDArray[np.uint16], keys: int, by_dimension: bool, place: int, places: int
) -> State:
    """A state of values of shape (layers, cells, width)."""
    layers, cells, width = values.shape
    parts = [words(MAGIC, place, places), words(*[0] * place), words(cells)]
    parts += [words(position, 1, place) for position in range(cells)]
    parts += [words(by_dimension, layers, 0, 0)]
    for layer in range(layers):
        parts += [words(F16, keys, 0), bytes([layer]) * (keys * cells)]
    for layer in values:
        if by_dimension:
            parts += [words(F16, 2, width), layer.T.tobytes()]
        else:
            parts += [words(F16, 2 * width, 0), layer.tobytes()]
    parts += [words(*[0] * (places - place - 1))]
    return np.frombuffer(b"".join(parts), np.uint8)


@st.composite
def states(draw: st.DrawFn) -> tuple[State, State]:
    """The same sequence, laid out in both ways."""
    shape = [draw(st.integers(1, most)) for most in (3, 9, 6)]
    count = int(np.prod(shape))
    numbers = draw(st.lists(st.integers(0, 0xFFFF), min_size=count, max_size=count))
    values = np.array(numbers, np.uint16).reshape(shape)
    keys = 2 * draw(st.integers(1, 5))
    places = draw(st.integers(1, 4))
    place = draw(st.integers(0, places - 1))
    by_position, by_dimension = (
        state_of(values, keys, way, place, places) for way in (False, True)
    )
    return by_position, by_dimension


@given(states())
def test_each_layout_becomes_the_other(states: tuple[State, State]) -> None:
    by_position, by_dimension = states
    assert np.array_equal(transpose_values(by_position), by_dimension)
    assert np.array_equal(transpose_values(by_dimension), by_position)


@given(states(), st.data())
def test_what_ends_too_early_is_refused(states: tuple[State, State], data: st.DataObject) -> None:
    state = data.draw(st.sampled_from(states))
    size = data.draw(st.integers(0, len(state) - 1))
    with pytest.raises(ValueError):
        transpose_values(state[:size])


@pytest.mark.parametrize(
    ("word", "value", "message"),
    [
        (0, 4, "begin"),
        (4 + 3 * 2, 2, "layers"),
        (4 + 3 * 2 + 4 + 3 + 2, 8, "16 bits"),
    ],
)
def test_a_layout_that_is_not_known_is_refused(word: int, value: int, message: str) -> None:
    state = state_of(np.zeros((1, 2, 3), np.uint16), 4, False, 0, 1).copy()
    state.view("<u4")[word] = value
    with pytest.raises(ValueError, match=message):
        transpose_values(state)
