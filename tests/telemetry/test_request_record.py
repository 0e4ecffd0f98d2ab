"""Request records: reason of the end, duration and stages."""

import pytest
from opentelemetry.context import Context

from friendli_endpoint.generation import RequestError, Started
from friendli_endpoint.telemetry import RequestRecord


@pytest.fixture
def record() -> RequestRecord:
    return RequestRecord("POST", "/here", "id", True, Context(), "", begun_at=100.0)


def test_the_first_reason_is_kept(record: RequestRecord) -> None:
    assert record.reason is None
    record.end_with_error(RequestError("why", code="queue_full"))
    record.end("cancelled")
    assert record.reason == "queue_full"


def test_an_error_without_a_code_has_a_reason(record: RequestRecord) -> None:
    record.end_with_error(RequestError("why"))
    assert record.reason == "refused"


def test_the_duration_ends_now_or_at_the_end_of_the_request(
    record: RequestRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("friendli_endpoint.telemetry.request_record.monotonic", lambda: 107.0)
    assert record.seconds == 7.0
    record.ended_at = 102.5
    assert record.seconds == 2.5


def test_there_are_no_stages_before_the_end_of_prefill(record: RequestRecord) -> None:
    record.submitted_at = 101.0
    assert record.stages == []


def test_the_stages_are_contiguous_up_to_the_last_token(
    record: RequestRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("friendli_endpoint.telemetry.request_record.monotonic", lambda: 109.0)
    record.started = Started(cached_tokens=0, queue_seconds=2.0, prefill_seconds=1.0)
    record.started_at = 104.0
    before = [("queue", 101.0, 103.0), ("prefill", 103.0, 104.0)]
    assert record.stages == [*before, ("decode", 104.0, 109.0)]
    record.ended_at = 108.0
    assert record.stages == [*before, ("decode", 104.0, 108.0)]
    record.last_token_at = 106.0
    assert record.stages == [*before, ("decode", 104.0, 106.0)]
