"""A connection of an endpoint to an engine elsewhere."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from friendli_endpoint.engine.remote.connection import EngineConnection
from friendli_endpoint.engine.remote.member import Member
from friendli_endpoint.engine.remote.messages import (
    FROM_ENGINE,
    TO_ENGINE,
    FromEngine,
    Opened,
    Pulse,
    ToEngine,
)
from friendli_endpoint.engine.remote.ray.replica import ReplicaState
from friendli_endpoint.engine.remote.wire import encode
from friendli_endpoint.generation import ModelCard

__all__ = ["EngineLink", "is_declared"]

CONNECT_SECONDS = 5.0
"""Maximum time to connect."""


def is_declared(adapter: str) -> bool:
    """Whether every engine loads an adapter itself, so that its name is its route."""
    return "#" not in adapter


class EngineLink:
    """A connection to one life of an engine; used on one event loop.

    Args:
        state: The state of the engine's replica.
        member: Receives what the engine sends.
        is_suitable: Whether an engine with this card can be used; otherwise the connection ends.
        on_lost: Called once when the connection has ended, with the error that ended it, if any.

    Attributes:
        state: As given.
        member: As given.
        is_refused: Whether the engine cannot be used.
        heard_at: Time of the last message, of the event loop's clock.
    """

    def __init__(
        self,
        state: ReplicaState,
        member: Member,
        *,
        is_suitable: Callable[[ModelCard], bool],
        on_lost: Callable[["EngineLink", Exception | None], None],
    ) -> None:
        self.state = state
        self.member = member
        self.is_refused = False
        self.heard_at = asyncio.get_running_loop().time()
        self._is_suitable = is_suitable
        self._connection = EngineConnection(
            FROM_ENGINE, self._receive, lambda error: on_lost(self, error), state.secret
        )

    @property
    def pid(self) -> None:
        """None, as the engine's process is not one of this endpoint."""
        return None

    async def connect(self) -> None:
        """Connects to the engine.

        Raises:
            OSError: The engine cannot be reached.
        """
        assert self.state.port is not None
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().create_connection(
                lambda: self._connection, self.state.host, self.state.port
            )

    def send(self, message: ToEngine) -> None:
        """Sends a message; nothing happens if the connection has ended.

        Raises:
            WireError: The message is too long.
        """
        self._connection.send(encode(TO_ENGINE, [message]))

    def close(self) -> None:
        """Closes the connection, which cancels all requests on it."""
        self._connection.close()

    def _receive(self, messages: Sequence[FromEngine]) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        others: list[FromEngine] = []
        for message in messages:
            match message:
                case Opened(card):
                    self._open(card)
                case Pulse():
                    pass  # the replica ends an engine that hangs
                case _:
                    others.append(message)
        if others and self.member.is_open:
            self.member.receive(others)

    def _open(self, card: ModelCard) -> None:
        if self._is_suitable(card):
            own = tuple(filter(is_declared, card.adapters))
            self.member.open(replace(card, adapters=own))
        else:
            self.is_refused = True
            self.close()
