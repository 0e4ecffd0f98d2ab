"""Events are plain data that survives serialization, and count finished choices."""

import pytest
from hypothesis import given

from friendli_endpoint.generation import (
    Event,
    FinishReason,
    Generated,
    TokenFindings,
    TokenStep,
)
from friendli_endpoint.generation.codec import Codec
from tests.generation.strategies import events

EVENTS: Codec[Event] = Codec(Event)


@given(events())
def test_an_event_survives_serialization(event: Event) -> None:
    received = EVENTS.decode(EVENTS.encode(event))
    assert received == event and type(received) is type(event)


def step(choice: int, finish: FinishReason | None) -> TokenStep:
    return TokenStep(choice, 7, TokenFindings(1, finish=finish))


@pytest.mark.parametrize(
    ("finishes", "count"),
    [
        ([None], 0),
        (["stop"], 1),
        ([None, "length", None], 1),
        (["stop", "tool_calls", None, "length"], 3),
    ],
)
def test_num_finished_counts_the_choices_that_finish_in_a_step(
    finishes: list[FinishReason | None], count: int
) -> None:
    steps = tuple(step(choice, finish) for choice, finish in enumerate(finishes))
    assert Generated(steps, 0.5).num_finished == count


def test_num_finished_counts_a_choice_that_ends_without_a_token() -> None:
    assert (
        Generated((TokenStep(0, None, TokenFindings(0, finish="length")),), 0.5).num_finished == 1
    )
