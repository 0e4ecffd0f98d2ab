"""Events are plain data that survives serialization, and count finished choices."""

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from friendli_endpoint.generation import (
    Event,
    FinishReason,
    Generated,
    OutputSpan,
    Started,
    TokenFindings,
    TokenLogprob,
    TokenStep,
)

EVENTS: TypeAdapter[Event] = TypeAdapter(Event)

COUNTS = st.integers(0, 2**31)
SECONDS = st.floats(0, 1e6)
LOGPROBS = st.builds(TokenLogprob, COUNTS, st.floats(-9999, 0))
SPANS = st.builds(OutputSpan, st.booleans(), st.binary(min_size=1), st.binary())
FINISHES: st.SearchStrategy[FinishReason | None] = st.sampled_from(
    [None, "stop", "length", "tool_calls"]
)
FINDINGS = st.builds(
    TokenFindings, COUNTS, st.lists(SPANS, max_size=3).map(tuple), FINISHES, st.booleans()
)
STEPS = st.builds(
    TokenStep,
    COUNTS,
    st.none() | COUNTS,
    FINDINGS,
    st.none() | LOGPROBS,
    st.lists(LOGPROBS, max_size=3).map(tuple),
)
GENERATED = st.builds(Generated, st.lists(STEPS, min_size=1, max_size=4).map(tuple), SECONDS)


@given(GENERATED | st.builds(Started, COUNTS, SECONDS, SECONDS))
def test_an_event_survives_serialization(event: Event) -> None:
    packed = msgpack.packb(EVENTS.dump_python(event))
    received = EVENTS.validate_python(msgpack.unpackb(packed))
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
