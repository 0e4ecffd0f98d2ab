"""Replay of requests whose engine was lost: the decisions, without I/O, tasks or a clock.

An accepted request is a function of itself, because its seeds are fixed. If its engine is lost,
another one generates the same tokens again; those that were told before are compared and dropped,
and only what follows is told.

Usage, where `now` is in seconds of any monotonic clock, and an engine that was started again has
another id than before:

    log = ReplayLog(deterministic=card.deterministic)
    replay = log.accept(request, now)

    # After `accept`, and whenever an engine is ready or has become less busy:
    for replay in log.waiting:  # in the order in which to submit them
        engines = log.engines_for(replay, ready)  # choose among these, or leave it waiting
        submit(log.assign(replay, engine, now), engine)

    # An event of a request from an engine; `told` are the events to pass on:
    told = log.receive(replay, engine, event)  # EngineError ends the request
    if replay.is_over: ...  # after its last event, and after any error

    # An engine has ended; the failures are to be passed on, the other requests wait again:
    failures = log.lose(engine, Death("crash", "signal SIGSEGV"), now, places=card.num_sequences)

    # Every second or so:
    failures = log.expire(now, ready)

    log.release(replay, engine, now)  # the engine is closing, or rejects it after all; it waits
    log.remove(replay)  # the client has left, or the engine has failed the request
"""

import math
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field, replace

from friendli_endpoint.engine.remote.overlap import Overlap
from friendli_endpoint.engine.remote.suspects import (
    NUM_DEATHS,
    Death,
    possibly_running,
    refusal_error,
)
from friendli_endpoint.generation import (
    EngineError,
    Event,
    Generated,
    GenerationRequest,
    Started,
)

__all__ = ["MAX_LOST_SECONDS", "Death", "EngineId", "Failure", "Replay", "ReplayLog"]

MAX_LOST_SECONDS = 120.0
"""Seconds after a loss in which a request must go on."""

EngineId = Hashable
"""Name of one life of an engine."""

Failure = tuple["Replay", EngineError]
"""Request that is over, and the error to pass on."""


@dataclass(slots=True, eq=False)
class Replay:
    """One accepted request.

    Attributes:
        request: The request as it was accepted.
        number: Rank in the order of acceptance, from 0.
        accepted: Time of the acceptance.
        deadline: Time after which nobody waits for the answer any longer.
        engine: The engine that has the request, or None while it waits.
        num_losses: Number of engines that were lost with it.
        num_deaths: Number of these that ended by themselves while they may have been running it.
        is_over: Whether it was told everything, has failed, or was removed.
    """

    request: GenerationRequest
    number: int
    accepted: float
    deadline: float
    engine: EngineId | None = None
    num_losses: int = 0
    num_deaths: int = 0
    is_over: bool = False
    _overlap: Overlap = field(kw_only=True)
    _assigned: float = 0.0
    _has_started: bool = False
    _told_started: bool = False
    _lost_deadline: float = math.inf

    @property
    def is_suspect(self) -> bool:
        """Whether it must run alone on an engine."""
        return self.num_deaths >= NUM_DEATHS


class ReplayLog:
    """Accepted requests, the engines that have them, and the order in which others get them.

    Args:
        deterministic: Whether all engines give the same answer to the same request
            (`ModelCard.deterministic`). Otherwise whole answers are told only when they are
            complete, so that another engine may give another answer.
        max_lost_seconds: Seconds after a loss in which a request must go on, or it fails.
    """

    def __init__(self, *, deterministic: bool, max_lost_seconds: float = MAX_LOST_SECONDS) -> None:
        self._deterministic = deterministic
        self._max_lost_seconds = max_lost_seconds
        self._num_accepted = 0
        self._waiting: dict[int, Replay] = {}
        self._on: dict[EngineId, dict[int, Replay]] = {}
        self._suspects: dict[int, Replay] = {}
        self._unserved_since: float | None = None

    def __len__(self) -> int:
        return len(self._waiting) + sum(map(len, self._on.values()))

    @property
    def waiting(self) -> tuple[Replay, ...]:
        """The requests that no engine has, in the order in which they are to be submitted."""
        return tuple(self._waiting[number] for number in sorted(self._waiting))

    def on(self, engine: EngineId) -> tuple[Replay, ...]:
        """Returns the requests that an engine has, in the order in which it got them."""
        return tuple(self._on.get(engine, {}).values())

    def accept(self, request: GenerationRequest, now: float, deadline: float = math.inf) -> Replay:
        """Adds a request, which waits for an engine.

        Args:
            request: The request.
            now: The time.
            deadline: Time after which nobody waits for the answer any longer.
        """
        is_held = not (self._deterministic or request.stream)
        overlap = Overlap(len(request.choices), is_held)
        replay = Replay(request, self._num_accepted, now, deadline, _overlap=overlap)
        self._num_accepted += 1
        self._waiting[replay.number] = replay
        return replay

    def remove(self, replay: Replay) -> None:
        """Removes a request; may be called again."""
        replay.is_over = True
        self._waiting.pop(replay.number, None)
        self._suspects.pop(replay.number, None)
        self._leave_engine(replay)

    def engines_for(self, replay: Replay, ready: Sequence[EngineId]) -> tuple[EngineId, ...]:
        """Returns the engines that may get a waiting request now; none if it has to wait.

        A suspect gets an engine without requests, if no other suspect runs. The engine gets nothing
        else meanwhile, and while a suspect waits, neither does the least busy engine.

        Args:
            replay: The request.
            ready: All engines that serve.
        """
        if not self._suspects:
            return tuple(ready)
        alone = {suspect.engine for suspect in self._suspects.values()} - {None}
        if replay.is_suspect:
            return () if alone else tuple(engine for engine in ready if not self._on.get(engine))
        if not alone and ready:
            alone = {min(ready, key=lambda engine: len(self._on.get(engine, ())))}
        return tuple(engine for engine in ready if engine not in alone)

    def assign(self, replay: Replay, engine: EngineId, now: float) -> GenerationRequest:
        """Records that an engine gets a waiting request; returns the request to submit there.

        Raises:
            ValueError: The request does not wait.
        """
        if self._waiting.pop(replay.number, None) is None:
            raise ValueError("the request does not wait")
        self._on.setdefault(engine, {})[replay.number] = replay
        replay.engine, replay._assigned, replay._has_started = engine, now, False
        replay._overlap.begin()
        return replace(replay.request, resumed=True) if replay.num_losses else replay.request

    def receive(self, replay: Replay, engine: EngineId, event: Event) -> tuple[Event, ...]:
        """Returns the events to tell for an event from an engine; often none during a replay.

        Times in the events are those since the acceptance. Events of an engine that does not have
        the request any longer are ignored.

        Raises:
            EngineError: The engine's answer differs from what was told, or is not an answer to the
                request. The request is over.
        """
        if replay.is_over or replay.engine != engine:
            return ()
        replay._has_started = True
        began = replay._assigned - replay.accepted
        if isinstance(event, Started):
            is_first, replay._told_started = not replay._told_started, True
            started = replace(event, queue_seconds=began + event.queue_seconds)
            return (started,) if is_first else ()
        try:
            steps = replay._overlap.add(event.steps)
        except EngineError:
            self.remove(replay)
            raise
        if not steps:
            return ()
        replay._lost_deadline = math.inf
        if replay._overlap.is_complete:
            self.remove(replay)
        return (Generated(steps, began + event.seconds),)

    def release(self, replay: Replay, engine: EngineId, now: float) -> None:
        """Takes a request from an engine that lives, but rejects it or is closing; it waits again.

        It must go on within the same time as after a loss.
        """
        if not replay.is_over and replay.engine == engine:
            self._take_back(replay, now)

    def lose(self, engine: EngineId, death: Death, now: float, places: int) -> tuple[Failure, ...]:
        """Takes all requests from an engine that has ended; they wait again.

        Args:
            engine: The engine.
            death: How it ended.
            now: The time.
            places: Maximum number of choices that it computed at the same time.

        Returns:
            Requests that fail now: the one that ended an engine alone, and those that were lost
            again and were told nothing new in `max_lost_seconds`.
        """
        lost = self.on(engine)
        failures: list[Failure] = []
        running = self._possibly_running(lost, places) if death.is_own else ()
        for replay in lost:
            was_running = replay in running
            was_alone = was_running and replay.is_suspect and len(lost) == 1
            replay.num_deaths += was_running
            self._take_back(replay, now)
            if was_alone:
                failures.append(self._fail(replay, refusal_error(death)))
            elif now >= replay._lost_deadline:
                failures.append(self._fail(replay, self._lost_error()))
            elif replay.is_suspect:
                self._suspects[replay.number] = replay
        return tuple(failures)

    def expire(self, now: float, ready: Collection[EngineId]) -> tuple[Failure, ...]:
        """Ends the requests that cannot wait any longer.

        Those are the requests whose own deadline has passed, and all that wait if no engine has
        served for `max_lost_seconds`. While one serves, a request waits for its turn.

        Args:
            now: The time.
            ready: All engines that serve.
        """
        since = now if self._unserved_since is None else self._unserved_since
        self._unserved_since = None if ready else since
        is_unserved = not ready and now - since >= self._max_lost_seconds
        failures: list[Failure] = []
        running = (replay for replays in self._on.values() for replay in replays.values())
        for replay in (*self.waiting, *running):
            if now >= replay.deadline:
                error = EngineError("the answer takes longer than the request allows")
                failures.append(self._fail(replay, error))
            elif is_unserved and replay.engine is None:
                failures.append(self._fail(replay, self._lost_error()))
        return tuple(failures)

    def _possibly_running(self, lost: Sequence[Replay], places: int) -> Sequence[Replay]:
        """Returns which of the requests of an engine it may have been computing."""
        started = [replay for replay in lost if replay._has_started]
        queued = [replay for replay in lost if not replay._has_started]
        queued.sort(key=lambda replay: not replay.num_losses)  # resumed ones are served first
        return possibly_running(started, queued, places)

    def _take_back(self, replay: Replay, now: float) -> None:
        self._leave_engine(replay)
        self._waiting[replay.number] = replay
        replay.num_losses += 1
        replay._lost_deadline = min(replay._lost_deadline, now + self._max_lost_seconds)

    def _leave_engine(self, replay: Replay) -> None:
        on_engine = self._on.get(replay.engine, {})
        on_engine.pop(replay.number, None)
        if not on_engine:
            self._on.pop(replay.engine, None)
        replay.engine = None

    def _fail(self, replay: Replay, error: EngineError) -> Failure:
        self.remove(replay)
        return replay, error

    def _lost_error(self) -> EngineError:
        return EngineError(
            f"the engine was lost, and no other could go on within {self._max_lost_seconds:g} s"
        )
