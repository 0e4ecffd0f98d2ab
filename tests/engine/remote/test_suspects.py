"""Suspects: which deaths count, whom they concern, and what a refusal says."""

from typing import Literal

import pytest

from friendli_endpoint.engine.remote.suspects import Death, possibly_running, refusal_error


@pytest.mark.parametrize(("cause", "is_own"), [("crash", True), ("hang", True), ("outside", False)])
def test_only_crashes_and_hangs_are_the_own_ends_of_an_engine(
    cause: Literal["crash", "hang", "outside"], is_own: bool
) -> None:
    assert Death(cause, "").is_own is is_own


@pytest.mark.parametrize("places", range(4))
def test_the_first_queued_requests_count_as_running(places: int) -> None:
    assert possibly_running("ab", "cde", places) == ("a", "b", *"cde"[:places])


@pytest.mark.parametrize(
    ("death", "text"),
    [
        (Death("crash", "signal SIGSEGV"), "the engine crashed (signal SIGSEGV)"),
        (Death("hang", "no step for 30 s"), "the engine did not go on (no step for 30 s)"),
    ],
)
def test_a_refusal_says_how_the_engine_ended_and_is_final(death: Death, text: str) -> None:
    error = refusal_error(death)
    assert text in error.message
    assert not error.retryable and not error.is_closing
