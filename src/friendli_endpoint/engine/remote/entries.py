"""Requests of a fleet that have not ended: the engines that have them, and who waits for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from friendli_endpoint.engine.remote.fleet_adapters import FleetAdapter, FleetAdapters
from friendli_endpoint.engine.remote.inbox import Delivery, Inbox, deliver
from friendli_endpoint.engine.remote.member import Member
from friendli_endpoint.engine.remote.replay import Replay, ReplayLog
from friendli_endpoint.generation import (
    EngineError,
    GenerationRequest,
    RequestError,
    draining_error,
)

__all__ = ["Entries", "Entry"]


@dataclass(slots=True, eq=False)
class Entry:
    """A request that has not ended.

    Attributes:
        request: The request, with the engines' name of its adapter.
        inbox: Receives its events.
        adapter: The adapter that it uses, or None.
        replay: Its replay.
        number: Number of its present submission; 0 while it waits.
        member: The engine that has it, or None while it waits.
        is_accepted: Whether the caller knows that it is accepted.
        has_failed: Whether an engine that was not lost has failed it.
        full: Engines whose queue was full.
    """

    request: GenerationRequest
    inbox: Inbox
    adapter: FleetAdapter | None
    replay: Replay
    number: int = 0
    member: Member | None = None
    is_accepted: bool = False
    has_failed: bool = False
    full: set[Member] = field(default_factory=set)


class Entries:
    """Requests that have not ended, and what their callers are told; used on one event loop.

    Args:
        adapters: The adapters of the fleet.
        log: The replays.
        clock: Returns the time in seconds.
    """

    def __init__(self, adapters: FleetAdapters, log: ReplayLog, clock: Callable[[], float]) -> None:
        self._adapters = adapters
        self._log = log
        self._clock = clock
        self._by_id: dict[str, Entry] = {}
        self._by_replay: dict[Replay, Entry] = {}
        self._by_number: dict[int, Entry] = {}
        self._num_submissions = 0
        self.num_waiting = 0
        self._deliveries: list[tuple[Inbox, Delivery]] = []

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._by_id.values()))

    def __contains__(self, entry: Entry) -> bool:
        return self._by_id.get(entry.request.request_id) is entry

    def with_id(self, request_id: str) -> Entry | None:
        """Returns the request with an id, if it has not ended."""
        return self._by_id.get(request_id)

    def of(self, replay: Replay) -> Entry:
        """Returns the request of a replay."""
        return self._by_replay[replay]

    def on(self, member: Member, number: int) -> Entry | None:
        """Returns the request that an engine has under a number, if it still has it."""
        entry = self._by_number.get(number)
        return entry if entry is not None and entry.member is member else None

    def add(self, request: GenerationRequest, inbox: Inbox, adapter: FleetAdapter | None) -> Entry:
        """Adds a request, which waits for an engine."""
        entry = Entry(request, inbox, adapter, self._log.accept(request, self._clock()))
        self._by_id[request.request_id] = self._by_replay[entry.replay] = entry
        self.num_waiting += 1
        return entry

    def attach(self, entry: Entry, member: Member) -> None:
        """Records that an engine gets a request that waits."""
        self._num_submissions += 1
        self.num_waiting -= 1
        entry.number, entry.member = self._num_submissions, member
        member.load += len(entry.request.choices)
        self._by_number[entry.number] = entry

    def detach(self, entry: Entry) -> None:
        """Takes a request from its engine, if it has one."""
        if entry.member is not None:
            entry.member.load = max(0, entry.member.load - len(entry.request.choices))
            del self._by_number[entry.number]
            entry.number, entry.member = 0, None
            self.num_waiting += 1

    def begin_again(self, entry: Entry) -> None:
        """Takes a request from an engine that has not begun it, as if it had not been there."""
        self.detach(entry)
        self._log.remove(entry.replay)
        del self._by_replay[entry.replay]
        entry.replay = self._log.accept(entry.request, self._clock())
        self._by_replay[entry.replay] = entry

    def release(self, entry: Entry, member: Member) -> None:
        """Takes a request from an engine that lives; it waits again."""
        self._log.release(entry.replay, member.life, self._clock())
        self.detach(entry)

    def accept(self, entry: Entry) -> None:
        """Tells the caller that its request is accepted, unless it knows."""
        entry.full.clear()
        if not entry.is_accepted:
            entry.is_accepted = True
            self.tell(entry.inbox, None)

    def refuse(self, entry: Entry, error: RequestError) -> None:
        """Ends a request that an engine has rejected."""
        if entry.is_accepted:
            self.end(entry, EngineError(error.message, retryable=False))
        else:
            self.tell(entry.inbox, error)
            self.remove(entry)

    def end(self, entry: Entry, error: EngineError) -> None:
        """Ends a request with an error."""
        if entry.is_accepted:
            self.tell(entry.inbox, error)
        else:
            status = 503 if error.retryable else 500
            rejection = RequestError(error.message, status=status, code="engine_failure")
            self.tell(entry.inbox, draining_error() if error.is_closing else rejection)
        self.remove(entry)

    def remove(self, entry: Entry) -> None:
        """Removes a request that has ended."""
        self.detach(entry)
        self.num_waiting -= 1
        self._log.remove(entry.replay)
        del self._by_replay[entry.replay]
        if entry in self:
            del self._by_id[entry.request.request_id]
        if entry.adapter is not None:
            self._adapters.leave(entry.adapter)

    def tell(self, inbox: Inbox, delivery: Delivery) -> None:
        """Adds a delivery, which `flush` delivers."""
        self._deliveries.append((inbox, delivery))

    def flush(self) -> None:
        """Delivers to the callers."""
        deliveries, self._deliveries = self._deliveries, []
        if deliveries:
            deliver(deliveries)
