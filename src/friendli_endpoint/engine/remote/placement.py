"""Placement of a fleet's engines: the protocol, and child processes of this one."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Protocol

from friendli_endpoint.engine.remote.child import ChildSetup
from friendli_endpoint.engine.remote.keeper import EngineKeeper
from friendli_endpoint.engine.remote.member import Member, Observer
from friendli_endpoint.generation import ModelCard, StartError

__all__ = ["ChildProcesses", "EnginePlacement"]


class EnginePlacement(Protocol):
    """Placement of a fleet's engines; used on the fleet's event loop.

    It opens engines, and opens others for those that are lost, for as long as it is not closed.
    """

    @property
    def members(self) -> Sequence[Member]:
        """The engines; a view that changes when engines come and go."""
        ...

    async def open(self, observer: Observer) -> ModelCard:
        """Opens the engines, and waits until as many serve as the endpoint needs to start.

        Args:
            observer: Learns what the engines do, also before this ends.

        Returns:
            The card of an engine; all have the same model, context and declared adapters.

        Raises:
            StartError: An engine cannot be opened.
        """
        ...

    async def aclose(self) -> None:
        """Ends the engines, or the ways to them; may be called while they are opened."""
        ...


class ChildProcesses:
    """Engines in child processes of this one, a fixed number.

    Args:
        setup: Setup of an engine's process.
        num_engines: Number of engines, at least 1.
        max_stalled: Seconds without a step, while there is work, after which an engine is replaced.
    """

    def __init__(self, setup: ChildSetup, num_engines: int, max_stalled: float) -> None:
        self._setup = setup
        self._num_engines = num_engines
        self._max_stalled = max_stalled
        self._keepers: list[EngineKeeper] = []
        self._members: list[Member] = []

    @staticmethod
    def check() -> None:
        """Checks that this system has what child processes need.

        Raises:
            StartError: It has no Unix sockets.
        """
        if sys.platform == "win32":
            raise StartError("--engines needs an operating system with Unix sockets")

    @property
    def members(self) -> Sequence[Member]:
        """The engines, by number."""
        return self._members

    async def open(self, observer: Observer) -> ModelCard:
        """Opens all engines, each with the capacity of the first one.

        Raises:
            StartError: An engine cannot be opened.
        """
        for number in range(1, self._num_engines + 1):
            member = Member(str(number), observer)
            member.link = keeper = EngineKeeper(
                number,
                self._setup,
                self._max_stalled,
                on_open=member.open,
                on_messages=member.receive,
                on_death=member.die,
            )
            self._members.append(member)
            self._keepers.append(keeper)
        await self._keepers[0].open()  # the memory that is free decides about its capacity
        card = self._members[0].card
        assert card is not None
        for keeper in self._keepers[1:]:
            keeper.require(card)
        await asyncio.gather(*(keeper.open() for keeper in self._keepers[1:]))
        return card

    async def aclose(self) -> None:
        """Ends the processes."""
        for member in self._members:
            member.is_ready = False
        await asyncio.gather(*(keeper.aclose() for keeper in self._keepers))
        for member in self._members:
            member.close()
