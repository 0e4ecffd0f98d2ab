"""Deadlines of requests: the operator's timeout, or a shorter one that the client asks for."""

import re

from friendli_endpoint.generation import RequestError

__all__ = ["HEADER", "deadline_of", "timeout_error"]

HEADER = "x-request-timeout"

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def deadline_of(header: str | None, max_seconds: float | None, now: float) -> float | None:
    """Returns the time by which a request must be answered; None for no deadline.

    Args:
        header: Value of the request's `x-request-timeout` header in seconds; None without one.
        max_seconds: The operator's timeout in seconds; None for no timeout.
        now: Time at which the request arrived, in seconds of the same clock as the result.

    Raises:
        RequestError: The header is not a number greater than 0.
    """
    timeouts = [max_seconds] if max_seconds is not None else []
    if header is not None:
        if not _SECONDS.fullmatch(header) or not float(header):
            raise RequestError(
                f"{HEADER} must be a number of seconds greater than 0, such as 30 or 2.5",
                param=HEADER,
                code="out_of_range",
            )
        timeouts.append(float(header))
    return now + min(timeouts) if timeouts else None


def timeout_error() -> RequestError:
    """Returns the error of a request whose deadline has passed."""
    return RequestError("the response was not complete in time", status=504, code="timeout")
