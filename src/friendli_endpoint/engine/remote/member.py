"""One engine of a fleet: its present life, and what it has to do."""

import asyncio
from collections.abc import Callable, Sequence

from friendli_endpoint.engine.remote.child import ChildSetup
from friendli_endpoint.engine.remote.keeper import EngineKeeper
from friendli_endpoint.engine.remote.suspects import Death
from friendli_endpoint.engine.remote.wire import (
    AdapterResult,
    FromEngine,
    LoadAdapter,
    StepDone,
    ToEngine,
    UnloadAdapter,
)
from friendli_endpoint.generation import ModelCard, RequestError, StepReport

__all__ = ["LostError", "Member"]


class LostError(Exception):
    """The engine was lost during a call."""


class Member:
    """One engine of a fleet, which is opened again when it is lost; used on one event loop.

    Args:
        number: Number of the engine, from 1.
        setup: Setup of its process.
        max_stalled: As for `EngineKeeper`.
        on_open: Called when the engine has been opened; it is not ready before `is_ready` is set.
        on_messages: Called with the messages about requests.
        on_death: Called when an engine that was open has ended.

    Attributes:
        is_ready: Whether requests may be submitted.
        card: The card of the engine that was opened last.
        adapters: Names of the adapters that the engine has loaded.
        load: Number of choices that it has to compute.
        last_report: The report of its last step; None before the first one.
    """

    def __init__(
        self,
        number: int,
        setup: ChildSetup,
        max_stalled: float,
        *,
        on_open: Callable[["Member"], None],
        on_messages: Callable[["Member", Sequence[FromEngine]], None],
        on_death: Callable[["Member", Death], None],
    ) -> None:
        self.is_ready = False
        self.card: ModelCard | None = None
        self.adapters: set[str] = set()
        self.load = 0
        self.last_report: StepReport | None = None
        self._number = number
        self._life = 0
        self._calls: dict[int, asyncio.Future[None]] = {}
        self._num_calls = 0
        self._on_open = on_open
        self._on_messages = on_messages
        self._on_death = on_death
        self._keeper = EngineKeeper(
            number,
            setup,
            max_stalled,
            on_open=self._open,
            on_messages=self._receive,
            on_death=self._die,
        )

    @property
    def life(self) -> str:
        """Name of the present life of the engine; never that of another one."""
        return f"{self._number}.{self._life}"

    @property
    def pid(self) -> int | None:
        """Id of its process; None if there is none."""
        return self._keeper.pid

    async def open(self, like: ModelCard | None = None) -> None:
        """Opens the engine; see `EngineKeeper.open`.

        Args:
            like: Card of an engine with the capacity that this one must have, or None.
        """
        if like is not None:
            self._keeper.require(like)
        await self._keeper.open()

    async def aclose(self) -> None:
        """Ends the process."""
        self.is_ready = False
        await self._keeper.aclose()
        self._lose_calls()

    def send(self, message: ToEngine) -> None:
        """Sends a message; nothing happens if the engine is not open.

        Raises:
            WireError: The message is too long.
        """
        self._keeper.send(message)

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

    async def _call(self, message_of: Callable[[int], ToEngine]) -> None:
        self._num_calls += 1
        call = self._num_calls
        result = self._calls[call] = asyncio.get_running_loop().create_future()
        try:
            self.send(message_of(call))
            await result
        finally:
            self._calls.pop(call, None)

    def _open(self, card: ModelCard) -> None:
        self._life += 1
        self.card = card
        self.adapters = set(card.adapters)
        self._on_open(self)

    def _receive(self, messages: Sequence[FromEngine]) -> None:
        others: list[FromEngine] = []
        for message in messages:
            if isinstance(message, AdapterResult):
                self._end_call(message.call, message.error)
            else:
                if isinstance(message, StepDone):
                    self.last_report = message.report
                others.append(message)
        if others:
            self._on_messages(self, others)

    def _end_call(self, call: int, error: RequestError | Exception | None) -> None:
        result = self._calls.get(call)
        if result is not None and not result.done():
            if error is None:
                result.set_result(None)
            else:
                result.set_exception(error)

    def _die(self, death: Death) -> None:
        self.is_ready = False
        self.load = 0
        self.last_report = None
        self.adapters = set()
        self._lose_calls()
        self._on_death(self, death)

    def _lose_calls(self) -> None:
        for call in tuple(self._calls):
            self._end_call(call, LostError())
