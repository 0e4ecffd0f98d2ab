"""A replica of the engines' deployment: keeps one engine in a child process of its own.

Endpoints ask all replicas where their engines accept connections, and how those that ended have
ended. Requests and tokens do not pass through Ray. Needs no ray itself.
"""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from friendli_endpoint.engine.remote.child import ChildSetup
from friendli_endpoint.engine.remote.keeper import EngineKeeper
from friendli_endpoint.engine.remote.messages import FromEngine, Listening, StepDone
from friendli_endpoint.engine.remote.suspects import Death
from friendli_endpoint.generation import ModelCard, StartError, StepReport

__all__ = ["CHOICES", "EngineReplica", "ReplicaState"]

log = logging.getLogger("friendli_endpoint.engine")

CHOICES = "choices"
"""Name of the metric by which the number of replicas is chosen."""

MAX_DEATHS = 16
"""Number of deaths that a replica remembers."""

MAX_CLOSED_SECONDS = 120.0
"""Seconds for which an engine may be closed until Ray has to replace the replica."""


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """Answer of a replica to the question for its engine.

    Attributes:
        replica: Id of the replica.
        settings: Digest of the settings of the engines.
        life: Number of the engine's present life, from 1; 0 before the first.
        host: Address at which the engine accepts connections.
        port: TCP port there; None while the engine is not open.
        secret: Bytes that a connection has to send first.
        deaths: The last lives that have ended, and how.
        failure: Why the engine could not be opened at first, or None.
    """

    replica: str
    settings: str
    life: int
    host: str
    port: int | None
    secret: bytes
    deaths: tuple[tuple[int, Death], ...]
    failure: str | None


class EngineReplica:
    """Keeps one engine, and knows how it ended; its methods are called on one event loop.

    Args:
        setup: Setup of the engine's process, with the address to listen on.
        settings: Digest of the settings of the engines.
        max_stalled: Seconds without a step, while there is work, after which the engine is
            replaced.
    """

    def __init__(self, setup: ChildSetup, settings: str, max_stalled: float) -> None:
        assert setup.host is not None
        self._id = uuid.uuid4().hex
        self._host = setup.host
        self._settings = settings
        self._life = 0
        self._listening: Listening | None = None
        self._deaths: deque[tuple[int, Death]] = deque(maxlen=MAX_DEATHS)
        self._failure: str | None = None
        self._closed_since: float | None = None
        self._last_report: StepReport | None = None
        self._keeper = EngineKeeper(
            1,
            setup,
            max_stalled,
            on_open=self._open,
            on_messages=self._receive,
            on_death=self._die,
        )
        self._loop = asyncio.get_running_loop()
        self._opening = self._loop.create_task(self._keep())

    async def state(self) -> ReplicaState:
        """Returns where the engine accepts connections, and how earlier ones have ended."""
        listening = self._listening if self._keeper.is_open else None
        return ReplicaState(
            self._id,
            self._settings,
            self._life,
            self._host,
            listening.port if listening is not None else None,
            listening.secret if listening is not None else b"",
            tuple(self._deaths),
            self._failure,
        )

    async def check_health(self) -> None:
        """Waits for the first opening of the engine; later, checks that it is not closed for long.

        Raises:
            RuntimeError: The engine could not be opened, so that the replica must be replaced.
        """
        if not self._opening.done():
            await asyncio.shield(self._opening)
            return  # whoever has started the replicas asks for the failure
        if self._failure is not None:
            raise RuntimeError(self._failure)
        since = self._closed_since
        if since is not None and self._loop.time() - since > MAX_CLOSED_SECONDS:
            raise RuntimeError("the engine cannot be opened again")

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Returns the number of choices that run, and of requests that wait."""
        report = self._last_report
        return {CHOICES: float(report.running + report.queued) if report is not None else 0.0}

    async def leave(self) -> None:
        """Ends the engine once its requests have ended."""
        await self._keeper.leave()
        self._opening.cancel()

    async def _keep(self) -> None:
        try:
            await self._keeper.open()
        except StartError as error:
            log.error("the engine cannot be opened: %s", error)
            self._failure = str(error)

    def _open(self, _card: ModelCard) -> None:
        self._life += 1
        self._closed_since = None

    def _receive(self, messages: Sequence[FromEngine]) -> None:
        for message in messages:
            match message:
                case Listening():
                    self._listening = message
                case StepDone(report):
                    self._last_report = report
                case _:
                    pass

    def _die(self, death: Death) -> None:
        self._deaths.append((self._life, death))
        self._listening = self._last_report = None
        self._closed_since = self._loop.time()
