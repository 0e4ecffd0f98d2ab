"""Deadlines: the operator's timeout and the client's."""

import pytest

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.limits.deadline import deadline_of, timeout_error


def test_a_client_can_only_shorten_the_timeout() -> None:
    assert deadline_of("600", 30, 1000) == 1030
    assert deadline_of("2.5", 30, 1000) == 1002.5
    assert deadline_of("2.5", None, 1000) == 1002.5
    assert deadline_of(None, 30, 1000) == 1030
    assert deadline_of(None, None, 1000) is None


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "0",
        "0.0",
        "-1",
        "nan",
        "inf",
        "1e3",
        "1_0",
        "٣",
        "ten",
        " 1",
        "9" * 400,
        "1.",
        "1234567890",
        "0.0123456789",
    ],
)
def test_an_invalid_timeout_is_rejected(asked: str) -> None:
    with pytest.raises(RequestError) as caught:
        deadline_of(asked, None, 0)
    assert (caught.value.status, caught.value.param) == (400, "x-request-timeout")


@pytest.mark.parametrize("asked", ["999999999", "0.000000001", "007", "1.50"])
def test_any_number_of_seconds_greater_than_0_is_valid(asked: str) -> None:
    assert deadline_of(asked, None, 0.0) == float(asked)


def test_a_timeout_error_has_status_504() -> None:
    error = timeout_error()
    assert (error.status, error.code, error.retry_after) == (504, "timeout", None)
