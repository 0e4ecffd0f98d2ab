"""Time limits of a call, with a fake clock."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli._transport.clock import CallClock
from friendli._transport.options import MAX_SECONDS


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def clock_of(**limits: Any) -> tuple[CallClock, Time]:
    time = Time()
    limits = {"deadline": None, "stall_timeout": None, **limits}
    return CallClock(limits["deadline"], limits["stall_timeout"], clock=time), time


class TestDeadline:
    def test_time_passes_whatever_the_call_does(self) -> None:
        clock, time = clock_of(deadline=10.0)
        assert clock.remaining() == 10.0
        time.now += 4
        clock.begin_read()
        time.now += 4
        clock.content()
        clock.end_read()
        assert clock.remaining() == 2.0
        assert clock.passed() is None
        time.now += 2
        assert clock.passed() == "deadline"
        with pytest.raises(TimeoutError):
            clock.begin_read()

    def test_bytes_that_arrive_after_the_deadline_are_not_delivered(self) -> None:
        clock, time = clock_of(deadline=10.0)
        clock.begin_read()
        time.now += 10
        with pytest.raises(TimeoutError):
            clock.end_read()
        assert clock.passed() == "deadline"

    def test_last_millisecond_counts_as_passed(self) -> None:
        clock, time = clock_of(deadline=10.0)
        time.now += 9.9995
        assert clock.passed() == "deadline"


class TestStallTimeout:
    def test_only_reads_without_content_count(self) -> None:
        clock, time = clock_of(stall_timeout=5.0)
        for number in range(3):
            clock.begin_read()
            time.now += 2
            clock.end_read()  # a comment
            time.now += 100  # the program is busy
            if number == 1:
                clock.content()
        assert clock.passed() is None
        clock.begin_read()
        assert clock.remaining() == 3.0
        time.now += 3
        assert clock.passed() == "stall_timeout"

    def test_comments_do_not_restart_the_wait(self) -> None:
        clock, time = clock_of(stall_timeout=5.0)
        for _ in range(2):
            clock.begin_read()
            time.now += 2
            clock.end_read()
        clock.begin_read()
        assert clock.remaining() == 1.0
        time.now += 2
        clock.end_read()
        with pytest.raises(TimeoutError):
            clock.begin_read()
        assert clock.passed() == "stall_timeout"

    def test_wait_for_the_headers_is_not_limited(self) -> None:
        clock, time = clock_of(stall_timeout=5.0)
        clock.begin_read()
        time.now += 4
        clock.begin_request()
        time.now += 100
        assert clock.remaining() is None and clock.passed() is None
        clock.begin_read()
        assert clock.remaining() == 5.0


class TestPhases:
    def test_timeouts_are_the_remaining_time_at_the_beginning_of_a_phase(self) -> None:
        clock, time = clock_of(deadline=10.0)
        request = httpx2.Client(timeout=httpx2.Timeout(60.0, connect=5.0)).build_request("POST", "")
        clock.limit_phases(request)
        timeouts = request.extensions["timeout"]
        assert (timeouts.get("connect"), timeouts.get("read"), timeouts["write"]) == (5.0, 10.0, 10)
        time.now += 8
        assert (timeouts.get("connect"), timeouts["read"]) == (2.0, 2.0)
        time.now += 8
        assert timeouts.get("read") == 0.001  # 0 would be a socket that does not block

    def test_phases_without_a_timeout_get_the_remaining_time(self) -> None:
        clock, _ = clock_of(deadline=10.0)
        request = httpx2.Client(timeout=None).build_request("POST", "")
        clock.limit_phases(request)
        assert request.extensions["timeout"].get("pool") == 10.0

    def test_requests_of_unknown_libraries_are_left_unchanged(self) -> None:
        clock_of(deadline=10.0)[0].limit_phases(object())


@given(st.floats(0, MAX_SECONDS, exclude_min=True), st.floats(0, 2 * MAX_SECONDS))
def test_header_is_a_positive_number_that_the_endpoint_accepts(
    deadline: float, elapsed: float
) -> None:
    clock, time = clock_of(deadline=deadline)
    time.now += elapsed
    header = clock.header()
    assert header is not None
    assert re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", header) and float(header) > 0
    remaining = clock.before_deadline()
    assert remaining is not None and float(header) >= remaining
