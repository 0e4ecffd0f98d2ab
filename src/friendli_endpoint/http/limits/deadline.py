"""Until when a request must be answered: what the operator grants, or less if the client says."""

import re

from friendli_endpoint.generation import RequestError

__all__ = ["HEADER", "deadline_of", "too_late"]

HEADER = "x-request-timeout"

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def deadline_of(asked: str | None, most: float | None, now: float) -> float | None:
    """The time by which a request must be answered; None is never.

    Args:
        asked: The request's header, if it has one: seconds.
        most: Seconds that the operator grants; None is for ever.
        now: When the request came, in seconds.

    Raises:
        RequestError: The header is no number above 0.
    """
    granted = [most] if most is not None else []
    if asked is not None:
        if not _SECONDS.fullmatch(asked) or not float(asked):
            raise RequestError(
                f"{HEADER} must be a number of seconds above 0, such as 30 or 2.5",
                param=HEADER,
                code="out_of_range",
            )
        granted.append(float(asked))
    return now + min(granted) if granted else None


def too_late() -> RequestError:
    """What a request hears whose time is over."""
    return RequestError("the answer was not done in time", status=504, code="timeout")
