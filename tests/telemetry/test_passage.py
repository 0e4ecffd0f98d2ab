"""A request as it is written down: why it ends, how long it takes, and the parts of that."""

import pytest
from opentelemetry.context import Context

from friendli_endpoint.generation import Refusal, Started
from friendli_endpoint.telemetry import Passage


@pytest.fixture
def passage() -> Passage:
    return Passage("POST", "/here", "id", True, Context(), "", begun=100.0)


def test_the_first_reason_is_the_one_that_counts(passage: Passage) -> None:
    assert passage.reason is None
    passage.refuse(Refusal("why", code="queue_full"))
    passage.end("cancelled")
    assert passage.reason == "queue_full"


def test_a_refusal_without_a_code_has_a_reason_too(passage: Passage) -> None:
    passage.refuse(Refusal("why"))
    assert passage.reason == "refused"


def test_it_takes_from_its_arrival_to_its_end_and_until_then_to_now(
    passage: Passage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("friendli_endpoint.telemetry.passage.monotonic", lambda: 107.0)
    assert passage.seconds == 7.0
    passage.ended = 102.5
    assert passage.seconds == 2.5


def test_before_the_prompt_is_in_there_are_no_stages(passage: Passage) -> None:
    passage.submitted_at = 101.0
    assert passage.stages == []


def test_the_stages_follow_each_other_to_the_last_token(
    passage: Passage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("friendli_endpoint.telemetry.passage.monotonic", lambda: 109.0)
    passage.started = Started(cached_tokens=0, queue_seconds=2.0, prefill_seconds=1.0)
    passage.started_at = 104.0
    before = [("queue", 101.0, 103.0), ("prefill", 103.0, 104.0)]
    assert passage.stages == [*before, ("decode", 104.0, 109.0)]
    passage.ended = 108.0
    assert passage.stages == [*before, ("decode", 104.0, 108.0)]
    passage.last_token = 106.0
    assert passage.stages == [*before, ("decode", 104.0, 106.0)]
