"""Gives requests to the engines of a fleet, and to another one when an engine is lost."""

import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from friendli_endpoint.engine.remote.affinity import Affinity
from friendli_endpoint.engine.remote.entries import Entries, Entry
from friendli_endpoint.engine.remote.fleet_adapters import FleetAdapters
from friendli_endpoint.engine.remote.inbox import Inbox
from friendli_endpoint.engine.remote.member import Member
from friendli_endpoint.engine.remote.messages import (
    Accepted,
    Cancel,
    EventBatch,
    Failed,
    FromEngine,
    Rejected,
    Submit,
)
from friendli_endpoint.engine.remote.replay import ReplayLog
from friendli_endpoint.engine.remote.suspects import Death
from friendli_endpoint.engine.remote.wire import WireError
from friendli_endpoint.generation import (
    EngineError,
    Event,
    GenerationRequest,
    RequestError,
    draining_error,
)

__all__ = ["Dispatcher"]

log = logging.getLogger("friendli_endpoint.engine")

MAX_HELD = 1024
"""Maximum number of requests that wait here, while no engine may have them, for new ones."""

HOLD_SECONDS = 60.0
"""Seconds without an engine after which new requests do not wait for one."""


class Dispatcher:
    """Gives requests to engines; used on one event loop.

    Args:
        members: The engines; a view that may change.
        adapters: Their adapters.
        deterministic: Whether all engines give the same answer to the same request.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        members: Sequence[Member],
        adapters: FleetAdapters,
        *,
        deterministic: bool,
        clock: Callable[[], float],
    ) -> None:
        self._members = members
        self._adapters = adapters
        self._clock = clock
        self._affinity = Affinity()
        self._log = ReplayLog(deterministic=deterministic)
        self._entries = Entries(adapters, self._log, clock)
        self._unserved_since: float | None = None
        self._closed = False

    def submit(self, request: GenerationRequest, inbox: Inbox) -> None:
        """Adds a request; its inbox learns whether it is accepted."""
        try:
            self._add(request, inbox)
        except RequestError as error:
            self._entries.tell(inbox, error)
        self._entries.flush()

    def cancel(self, request_id: str) -> None:
        """Removes a request, because its caller has left."""
        entry = self._entries.with_id(request_id)
        if entry is not None:
            if entry.member is not None:
                entry.member.send(Cancel(entry.number))
            self._entries.remove(entry)
            self.dispatch()

    def receive(self, member: Member, messages: Sequence[FromEngine]) -> None:
        """Receives messages of an engine about requests."""
        for message in messages:
            match message:
                case EventBatch(number, events):
                    if (entry := self._entries.on(member, number)) is not None:
                        self._tell(entry, member, events)
                case Accepted(number):
                    if (entry := self._entries.on(member, number)) is not None:
                        self._entries.accept(entry)
                case Rejected(number, error):
                    if (entry := self._entries.on(member, number)) is not None:
                        self._reject(entry, member, error)
                case Failed(number, failure):
                    if (entry := self._entries.on(member, number)) is not None:
                        self._fail(entry, member, failure)
                case _:
                    pass
        self.dispatch()

    def lose(self, member: Member, death: Death) -> None:
        """Takes the requests from an engine that has ended, and gives them to others."""
        if not self._ready and self._unserved_since is None:
            self._unserved_since = self._clock()
        places = member.card.num_sequences if member.card is not None else 1
        lost = self._log.on(member.life)
        failures = self._log.lose(member.life, death, self._clock(), places)
        for replay in lost:
            self._entries.detach(self._entries.of(replay))
        for replay, error in failures:
            self._entries.end(self._entries.of(replay), error)
        self.dispatch()

    def expire(self) -> None:
        """Ends requests that have waited too long for an engine."""
        for replay, error in self._log.expire(self._clock(), [m.life for m in self._ready]):
            entry = self._entries.of(replay)
            if entry.member is not None:
                entry.member.send(Cancel(entry.number))
            self._entries.end(entry, error)
        self._entries.flush()

    def dispatch(self) -> None:
        """Gives waiting requests to engines that are ready, as far as they may have them now."""
        if self._unserved_since is not None and self._ready:
            self._unserved_since = None
        if self._entries.num_waiting:
            for replay in self._log.waiting:
                self._give(self._entries.of(replay))
        self._entries.flush()

    def close(self, error: EngineError) -> None:
        """Ends all requests with an error, and rejects later ones."""
        self._closed = True
        for entry in self._entries:
            self._entries.end(entry, error)
        self._entries.flush()

    @property
    def _ready(self) -> list[Member]:
        return [member for member in self._members if member.is_ready]

    def _add(self, request: GenerationRequest, inbox: Inbox) -> None:
        if self._closed:
            raise draining_error()
        since = self._unserved_since
        if since is not None and self._clock() - since > HOLD_SECONDS:
            message = "no engine serves, as it cannot be started again; try again later"
            raise RequestError(message, status=503, code="engine_starting", retry_after=1)
        if self._entries.num_waiting >= MAX_HELD:
            message = f"the queue is full: {self._entries.num_waiting} requests are waiting"
            raise RequestError(message, status=429, code="queue_full", retry_after=1)
        adapter = None
        if request.adapter is not None:
            adapter = self._adapters.take(request.adapter)
            request = replace(request, adapter=adapter.name)
        entry = self._entries.add(request, inbox, adapter)
        self._give(entry)
        if entry.member is None and entry in self._entries:
            self._entries.accept(entry)

    def _give(self, entry: Entry) -> None:
        """Gives a waiting request to an engine, if one may have it now."""
        ready, adapter = self._ready, entry.adapter
        if adapter is not None:
            ready = [member for member in ready if adapter.name in member.adapters]
            if not ready and self._ready and all(m.is_ready for m in self._members):
                message = "its adapter cannot be loaded again, after the engine was lost"
                self._entries.refuse(entry, RequestError(message, status=503, code="adapter_lost"))
                return
        by_life: dict[Hashable, Member] = {
            member.life: member for member in ready if member not in entry.full
        }
        lives = self._log.engines_for(entry.replay, list(by_life))
        if not lives:
            return
        member = self._affinity.choose(entry.request, [by_life[life] for life in lives])
        request = self._log.assign(entry.replay, member.life, self._clock())
        self._entries.attach(entry, member)
        try:
            member.send(Submit(entry.number, request))
        except WireError as error:
            self._entries.refuse(entry, RequestError(str(error), status=413, code="body_too_large"))

    def _tell(self, entry: Entry, member: Member, events: Sequence[Event]) -> None:
        try:
            for event in events:
                for told in self._log.receive(entry.replay, member.life, event):
                    self._entries.tell(entry.inbox, told)
        except EngineError as error:
            member.send(Cancel(entry.number))
            self._entries.end(entry, error)
        else:
            if entry.replay.is_over:
                self._entries.remove(entry)

    def _reject(self, entry: Entry, member: Member, error: RequestError) -> None:
        """Tries another engine if the queue of this one is full, or if it cannot go on."""
        if error.status == 429 and entry.is_accepted:
            self._entries.release(entry, member)  # resumed, it is queued whatever the bounds
            return
        if error.status == 429:
            entry.full.add(member)
            if not entry.full.issuperset(self._ready):
                self._entries.begin_again(entry)
                return
        elif error.status == 503:  # its process will be ended
            member.is_ready = False
            self._entries.release(entry, member)
            return
        self._entries.refuse(entry, error)

    def _fail(self, entry: Entry, member: Member, error: EngineError) -> None:
        """Tries a request once more that an engine has failed."""
        if error.is_closing or (error.retryable and not entry.has_failed):
            entry.has_failed = entry.has_failed or not error.is_closing
            log.warning("request %s is run again: %s", entry.request.request_id, error.message)
            self._entries.release(entry, member)
        else:
            self._entries.end(entry, error)
