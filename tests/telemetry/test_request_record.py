"""A request as it is written down: why it ends, how long it takes, and the parts of that."""

import pytest
from opentelemetry.context import Context

from friendli_endpoint.generation import RequestError, Started
from friendli_endpoint.telemetry import RequestRecord


@pytest.fixture
def record() -> RequestRecord:
    return RequestRecord("POST", "/here", "id", True, Context(), "", begun=100.0)


def test_the_first_reason_is_the_one_that_counts(record: RequestRecord) -> None:
    assert record.reason is None
    record.refuse(RequestError("why", code="queue_full"))
    record.end("cancelled")
    assert record.reason == "queue_full"


def test_a_refusal_without_a_code_has_a_reason_too(record: RequestRecord) -> None:
    record.refuse(RequestError("why"))
    assert record.reason == "refused"


def test_it_takes_from_its_arrival_to_its_end_and_until_then_to_now(
    record: RequestRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("friendli_endpoint.telemetry.request_record.monotonic", lambda: 107.0)
    assert record.seconds == 7.0
    record.ended = 102.5
    assert record.seconds == 2.5


def test_before_the_prompt_is_in_there_are_no_stages(record: RequestRecord) -> None:
    record.submitted_at = 101.0
    assert record.stages == []


def test_the_stages_follow_each_other_to_the_last_token(
    record: RequestRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("friendli_endpoint.telemetry.request_record.monotonic", lambda: 109.0)
    record.started = Started(cached_tokens=0, queue_seconds=2.0, prefill_seconds=1.0)
    record.started_at = 104.0
    before = [("queue", 101.0, 103.0), ("prefill", 103.0, 104.0)]
    assert record.stages == [*before, ("decode", 104.0, 109.0)]
    record.ended = 108.0
    assert record.stages == [*before, ("decode", 104.0, 108.0)]
    record.last_token = 106.0
    assert record.stages == [*before, ("decode", 104.0, 106.0)]
