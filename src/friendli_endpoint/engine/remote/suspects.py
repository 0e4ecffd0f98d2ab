"""Suspects: requests that may have ended their engines.

A request that was running at two deaths of engines, by a crash or a hang of the engine's own, is a
suspect. It runs again alone on an engine. Only if the engine ends with it alone, it is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from friendli_endpoint.generation import EngineError

__all__ = ["NUM_DEATHS", "Death", "possibly_running", "refusal_error"]

NUM_DEATHS = 2
"""Number of deaths after which a request that was running is a suspect."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Death:
    """End of an engine.

    Attributes:
        cause: `crash`: it ended by a signal of its own, such as SIGSEGV or SIGABRT; `hang`: it made
            no step and was killed for that; `outside`: anything else, such as SIGKILL (also of the
            kernel's out-of-memory killer), an exit, a lost connection, or a shutdown; `planned`:
            it was told to end, and had finished its requests.
        reason: The signal, the status or the time, for the client: `signal SIGSEGV`.
    """

    cause: Literal["crash", "hang", "outside", "planned"]
    reason: str

    @property
    def is_own(self) -> bool:
        """Whether the engine ended by itself, so that a request may have caused it."""
        return self.cause in ("crash", "hang")

    @property
    def is_planned(self) -> bool:
        """Whether the engine was not lost, but told to end."""
        return self.cause == "planned"


def possibly_running(started: Sequence[T], queued: Sequence[T], places: int) -> Sequence[T]:
    """Returns the requests that an engine may have been computing when it ended.

    The endpoint does not know whose prefill had begun, so as many of the queued requests count as
    the engine has places. A false suspicion costs nothing but time.

    Args:
        started: The requests whose prefill had ended.
        queued: The other requests, in the order in which the engine serves them.
        places: Maximum number of choices that the engine computes at the same time.
    """
    return (*started, *queued[:places])


def refusal_error(death: Death) -> EngineError:
    """Returns the error of a suspect that ended an engine alone."""
    ended = "did not go on" if death.cause == "hang" else "crashed"
    return EngineError(
        f"the request cannot be served: the engine {ended} ({death.reason}) while it ran only this "
        f"request, which was also running when {NUM_DEATHS} engines before it failed",
        retryable=False,
    )
