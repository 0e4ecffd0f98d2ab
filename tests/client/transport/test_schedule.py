"""Schedule of retries, with a fake clock and no network."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli import UNSET, BackoffStrategy, RetryConfig
from friendli._transport.network import NetworkError
from friendli._transport.retry import RetryOption
from friendli._transport.schedule import Schedule, retry_after

FAST = RetryConfig("backoff", BackoffStrategy(1, 20, 1.5, 60_000), True)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def schedule_of(option: RetryOption, clock: Clock | None = None, draw: float = 0.0) -> Schedule:
    return Schedule(option, clock=clock or Clock(), draw=lambda: draw, now=lambda: 1000.0)


def failure(kind: str) -> NetworkError:
    error = NetworkError(kind)
    error.kind = kind
    return error


class TestExplicit:
    def test_waits_grow_to_max_interval(self) -> None:
        config = RetryConfig("backoff", BackoffStrategy(500, 2000, 2, 60_000), True)
        schedule = schedule_of(config)
        waits = [schedule.after_status(503, {}) for _ in range(4)]
        assert waits == [0.5, 1.0, 2.0, 2.0]
        assert schedule.retries == 4

    def test_jitter_is_limited_by_max_interval(self) -> None:
        strategy = BackoffStrategy(500, 1000, 2, 60_000)
        config = RetryConfig("backoff", strategy, True)
        assert schedule_of(config, draw=0.25).after_status(429, {}) == 0.75
        assert schedule_of(config, draw=0.99).after_status(429, {}) == 1.0
        strategy.jitter_ms = 100
        assert schedule_of(config, draw=0.5).after_status(429, {}) == 0.55

    def test_no_retry_after_max_elapsed_time(self) -> None:
        clock = Clock()
        schedule = schedule_of(RetryConfig("backoff", BackoffStrategy(1, 1, 1, 3000), True), clock)
        clock.now += 2.9
        assert schedule.after_status(500, {}) is not None
        clock.now += 0.2
        assert schedule.after_status(500, {}) is None

    def test_retry_after_is_limited_by_the_remaining_time(self) -> None:
        clock = Clock()
        schedule = schedule_of(RetryConfig("backoff", BackoffStrategy(1, 20, 1, 3000), True), clock)
        assert schedule.after_status(429, {"retry-after": "1"}) == 1.0
        assert schedule.after_status(429, {"retry-after": "1", "retry-after-ms": "70"}) == 0.07
        assert schedule.after_status(429, {"retry-after": "3.5"}) is None
        clock.now += 2.5
        assert schedule.after_status(429, {"retry-after": "1"}) is None

    def test_status_codes_that_are_retried(self) -> None:
        def is_retried(status: int, override: Any = None) -> bool:
            config = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 1000), True, override)
            return schedule_of(config).after_status(status, {}) is not None

        assert [s for s in range(200, 600) if is_retried(s)] == [429, 500, 502, 503, 504]
        assert [s for s in range(400, 600) if is_retried(s, ["5XX", 418])] == [
            418,
            *range(500, 600),
        ]
        assert not is_retried(429, [])

    def test_connection_errors_are_retried_only_if_configured(self) -> None:
        for enabled in (True, False):
            config = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 1000), enabled)
            for kind in ("ConnectError", "ReadError", "ReadTimeout", "RemoteProtocolError"):
                assert (schedule_of(config).after_error(failure(kind)) is not None) is enabled
            assert schedule_of(config).after_error(failure("UnsupportedProtocol")) is None

    @pytest.mark.parametrize("off", [None, RetryConfig("none", FAST.backoff, True), "backoff"])
    def test_disabled_retries(self, off: Any) -> None:
        assert schedule_of(off).after_status(503, {"retry-after": "1"}) is None
        assert schedule_of(off).after_error(failure("ConnectError")) is None


class TestDefault:
    def test_default_is_two_retries(self) -> None:
        schedule = schedule_of(UNSET)
        assert [schedule.after_status(503, {}) for _ in range(3)] == [0.5, 1.0, None]
        assert schedule_of(UNSET, draw=1.0).after_status(503, {}) == 0.625

    def test_read_timeouts_are_not_retried(self) -> None:
        assert schedule_of(UNSET).after_error(failure("ReadTimeout")) is None
        for kind in ("ConnectError", "ConnectTimeout", "ReadError", "RemoteProtocolError"):
            assert schedule_of(UNSET).after_error(failure(kind)) is not None

    def test_retry_after_is_accepted_up_to_60_seconds(self) -> None:
        assert schedule_of(UNSET).after_status(429, {"retry-after": "60"}) == 60.0
        assert schedule_of(UNSET).after_status(429, {"retry-after": "61"}) is None
        assert schedule_of(UNSET).after_status(418, {"retry-after": "1"}) is None


@pytest.mark.parametrize("option", [UNSET, FAST])
def test_wait_that_reaches_the_deadline_ends_the_retries(option: RetryOption) -> None:
    schedule = Schedule(option, clock=Clock(), remaining=lambda: 5.0, now=lambda: 1000.0)
    assert schedule.after_status(429, {"retry-after": "4.9"}) == 4.9
    assert schedule.after_status(429, {"retry-after": "5"}) is None
    late = Schedule(option, clock=Clock(), remaining=lambda: -0.1)
    assert late.after_error(failure("ConnectError")) is None


class TestRetryAfter:
    def test_seconds_milliseconds_and_dates(self) -> None:
        assert retry_after({}, 0) is None
        assert retry_after({"retry-after": "1.5"}, 0) == 1.5
        assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}, 0) == 1.5
        assert retry_after({"retry-after": formatdate(1030, usegmt=True)}, 1000.0) == 30.0
        assert retry_after({"retry-after": formatdate(900, usegmt=True)}, 1000.0) == 0.0

    @pytest.mark.parametrize(
        "value", ["", "soon", "-1", "nan", "inf", "1e999", "99999999999999999 Jan"]
    )
    def test_invalid_values_are_ignored(self, value: str) -> None:
        assert retry_after({"retry-after": value, "retry-after-ms": value}, 0) is None

    @given(st.text())
    def test_any_value_gives_a_finite_wait_or_none(self, value: str) -> None:
        wait = retry_after({"retry-after": value}, 0.0)
        assert wait is None or 0.0 <= wait < float("inf")
