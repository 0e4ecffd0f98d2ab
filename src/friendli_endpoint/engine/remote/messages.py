"""Messages between the endpoint and an engine elsewhere, as plain data.

Requests and calls have numbers that the endpoint chooses, unique on the connection. `wire.py` makes
frames of the messages.
"""

from dataclasses import dataclass

from friendli_endpoint.generation import (
    EngineError,
    Event,
    GenerationRequest,
    ModelCard,
    RequestError,
    StepReport,
)
from friendli_endpoint.generation.codec import Codec

__all__ = [
    "FROM_ENGINE",
    "TO_ENGINE",
    "Accepted",
    "AdapterResult",
    "Cancel",
    "Close",
    "EventBatch",
    "Failed",
    "FromEngine",
    "Leave",
    "Leaving",
    "Listening",
    "LoadAdapter",
    "LogLine",
    "Opened",
    "OpeningFailed",
    "Pulse",
    "Rejected",
    "StepDone",
    "Submit",
    "ToEngine",
    "UnloadAdapter",
]


@dataclass(frozen=True, slots=True)
class Submit:
    """Message to submit a request; `Accepted` or `Rejected` is the reply.

    Attributes:
        number: Number of the request on this connection.
        request: The request.
    """

    number: int
    request: GenerationRequest


@dataclass(frozen=True, slots=True)
class Cancel:
    """Message to cancel a request; no reply, and unknown numbers are ignored."""

    number: int


@dataclass(frozen=True, slots=True)
class LoadAdapter:
    """Message to load an adapter; `AdapterResult` is the reply.

    Attributes:
        call: Number of the call on this connection.
        route: Name by which requests select the adapter.
        path: File of the adapter, on a file system that both sides see.
    """

    call: int
    route: str
    path: str


@dataclass(frozen=True, slots=True)
class UnloadAdapter:
    """Message to remove an adapter; `AdapterResult` is the reply."""

    call: int
    route: str


@dataclass(frozen=True, slots=True)
class Close:
    """Message to close the engine; the engine fails its requests and ends the connection."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Message that the engine has to end once its requests have ended; `Leaving` is the reply."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Message that the engine accepts connections; comes once, before `Opened`.

    Attributes:
        port: The TCP port.
        secret: Bytes that an endpoint sends before its greeting.
    """

    port: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class Leaving:
    """Message that the engine finishes its requests and then ends; it is given no more."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Message that the engine serves; comes once, before all others but the greeting."""

    card: ModelCard


@dataclass(frozen=True, slots=True)
class OpeningFailed:
    """Message that the model cannot be opened; the connection ends."""

    message: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """Message that a request was accepted, by its number."""

    number: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """Message that a request was rejected, and why; the last message about it."""

    number: int
    error: RequestError


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Message with events of one request, in order."""

    number: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """Message that an accepted request cannot be finished; the last message about it."""

    number: int
    error: EngineError


@dataclass(frozen=True, slots=True)
class AdapterResult:
    """Reply to `LoadAdapter` and `UnloadAdapter`.

    Attributes:
        call: Number of the call.
        adapters: Routes of all adapters that are loaded now.
        error: Why the call failed, or None.
    """

    call: int
    adapters: tuple[str, ...]
    error: RequestError | None = None


@dataclass(frozen=True, slots=True)
class StepDone:
    """Message with the statistics of one step of the engine."""

    report: StepReport


@dataclass(frozen=True, slots=True)
class Pulse:
    """Message with the engine's state, sent at regular times.

    Attributes:
        is_alive: `Engine.is_alive`.
        stalled_seconds: `Engine.stalled_seconds`.
    """

    is_alive: bool
    stalled_seconds: float


@dataclass(frozen=True, slots=True)
class LogLine:
    """Message with a line of the engine's log.

    Attributes:
        logger: Name of the logger.
        level: Level, as in `logging`.
        text: The line, with the traceback if it has one.
    """

    logger: str
    level: int
    text: str


ToEngine = Submit | Cancel | LoadAdapter | UnloadAdapter | Leave | Close
"""Message to an engine."""

FromEngine = (
    EventBatch
    | StepDone
    | Accepted
    | Rejected
    | Failed
    | Opened
    | OpeningFailed
    | Listening
    | Leaving
    | AdapterResult
    | Pulse
    | LogLine
)
"""Message from an engine."""

TO_ENGINE: Codec[tuple[ToEngine, ...]] = Codec(tuple[ToEngine, ...])
FROM_ENGINE: Codec[tuple[FromEngine, ...]] = Codec(tuple[FromEngine, ...])
