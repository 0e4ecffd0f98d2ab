"""One engine of a fleet, as the fleet sees it: its present life, and what it has to do."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from friendli_endpoint.engine.remote.messages import (
    AdapterResult,
    FromEngine,
    Leaving,
    LoadAdapter,
    StepDone,
    ToEngine,
    UnloadAdapter,
)
from friendli_endpoint.engine.remote.suspects import Death
from friendli_endpoint.generation import ModelCard, RequestError, StepReport

__all__ = ["Link", "LostError", "Member", "Observer"]


class LostError(Exception):
    """The engine was lost during a call."""


class Link(Protocol):
    """The way to an engine."""

    @property
    def pid(self) -> int | None:
        """Id of the engine's process; None if there is none on this machine."""
        ...

    def send(self, message: ToEngine) -> None:
        """Sends a message; nothing happens if the engine is not open.

        Raises:
            WireError: The message is too long.
        """
        ...


class Observer(Protocol):
    """Observer of the engines of a fleet; called on one event loop."""

    def opened(self, member: "Member") -> None:
        """Learns that an engine is open; it is not ready before `Member.is_ready` is set."""
        ...

    def received(self, member: "Member", messages: Sequence[FromEngine]) -> None:
        """Receives an engine's messages about requests and steps."""
        ...

    def lost(self, member: "Member", death: Death) -> None:
        """Learns that an engine that was open has ended."""
        ...

    def left(self, member: "Member") -> None:
        """Learns that an engine is given no more requests, because it ends after those it has."""
        ...


class Member:
    """One engine of a fleet; used on one event loop.

    Whoever has opened the way to the engine sets `link`, and calls `open`, `receive` and `die`.

    Args:
        name: Name of the engine.
        observer: Learns what the engine does.

    Attributes:
        link: The way to the engine.
        is_open: Whether the engine is open.
        is_ready: Whether requests may be submitted.
        is_leaving: Whether the engine ends when its requests have ended.
        card: The card of the engine that was opened last.
        adapters: Names of the adapters that the engine has loaded.
        load: Number of choices that it has to compute.
        last_report: The report of its last step; None before the first one.
    """

    def __init__(self, name: str, observer: Observer) -> None:
        self.link: Link | None = None
        self.is_open = self.is_ready = self.is_leaving = False
        self.card: ModelCard | None = None
        self.adapters: set[str] = set()
        self.load = 0
        self.last_report: StepReport | None = None
        self._name = name
        self._observer = observer
        self._life = 0
        self._calls: dict[int, asyncio.Future[None]] = {}
        self._num_calls = 0

    @property
    def life(self) -> str:
        """Name of the present life of the engine; never that of another one."""
        return f"{self._name}.{self._life}"

    @property
    def pid(self) -> int | None:
        """Id of its process; None if there is none on this machine."""
        return self.link.pid if self.link is not None else None

    def send(self, message: ToEngine) -> None:
        """Sends a message; nothing happens if the engine is not open.

        Raises:
            WireError: The message is too long.
        """
        if self.link is not None:
            self.link.send(message)

    async def load_adapter(self, name: str, path: str) -> None:
        """Loads an adapter.

        Raises:
            RequestError: The file is not an adapter for this model.
            LostError: The engine was lost.
        """
        life = self._life
        await self._call(lambda call: LoadAdapter(call, name, path))
        if life == self._life:
            self.adapters.add(name)

    def unload_adapter(self, name: str) -> None:
        """Removes an adapter that it has; does not wait."""
        if name in self.adapters:
            self.adapters.remove(name)
            self._num_calls += 1
            self.send(UnloadAdapter(self._num_calls, name))

    def open(self, card: ModelCard) -> None:
        """Begins a new life of the engine, which has been opened."""
        self._life += 1
        self.is_open = True
        self.card = card
        self.adapters = set(card.adapters)
        self._observer.opened(self)

    def receive(self, messages: Sequence[FromEngine]) -> None:
        """Receives messages of the engine."""
        others: list[FromEngine] = []
        for message in messages:
            match message:
                case AdapterResult(call, _, error):
                    self._end_call(call, error)
                case Leaving():
                    self.leave()
                case _:
                    if isinstance(message, StepDone):
                        self.last_report = message.report
                    others.append(message)
        if others:
            self._observer.received(self, others)

    def leave(self) -> None:
        """Gives the engine no more requests, because it will end."""
        if self.is_open and not self.is_leaving:
            self.is_leaving, self.is_ready = True, False
            self._observer.left(self)

    def die(self, death: Death) -> None:
        """Ends the present life of the engine."""
        self.close()
        self._observer.lost(self, death)

    def close(self) -> None:
        """Ends the present life of the engine because the fleet is closed; nobody learns it."""
        self.is_open = self.is_ready = self.is_leaving = False
        self.load = 0
        self.last_report = None
        self.adapters = set()
        for call in tuple(self._calls):
            self._end_call(call, LostError())

    async def _call(self, message_of: Callable[[int], ToEngine]) -> None:
        self._num_calls += 1
        call = self._num_calls
        result = self._calls[call] = asyncio.get_running_loop().create_future()
        try:
            self.send(message_of(call))
            await result
        finally:
            self._calls.pop(call, None)

    def _end_call(self, call: int, error: RequestError | Exception | None) -> None:
        result = self._calls.get(call)
        if result is not None and not result.done():
            if error is None:
                result.set_result(None)
            else:
                result.set_exception(error)
