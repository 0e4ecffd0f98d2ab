"""The endpoints that an engine serves: the process that keeps it, and those that connect by TCP."""

import asyncio
import hmac
import secrets
from collections.abc import Callable
from typing import cast

from friendli_endpoint.engine.remote.connection import EngineConnection
from friendli_endpoint.engine.remote.messages import (
    FROM_ENGINE,
    TO_ENGINE,
    FromEngine,
    Leaving,
    Listening,
    Opened,
    ToEngine,
)
from friendli_endpoint.engine.remote.serving import EngineServer, FrameOutbox
from friendli_endpoint.engine.remote.shared_adapters import SharedAdapters
from friendli_endpoint.engine.remote.wire import encode
from friendli_endpoint.generation import Engine, StepReport

__all__ = ["Fronts", "outbox_of"]

SECRET_BYTES = 32
"""Length of the secret that an endpoint sends first, in bytes."""

SECRET_SECONDS = 5.0
"""Seconds in which the secret has to come."""

LINGER_SECONDS = 2.0
"""Seconds for which an engine that leaves stays after its last request, so that what it has sent
is read; the endpoints close their connections before."""


def outbox_of(connection: EngineConnection[ToEngine]) -> FrameOutbox:
    """Returns an outbox that sends to the endpoint at the other end of a connection."""
    return FrameOutbox(lambda messages: connection.send(encode(FROM_ENGINE, messages)))


class Fronts:
    """Endpoints that share an engine; used on one event loop, except for `report`.

    Args:
        keeper: Outbox to the process that keeps the engine.
    """

    def __init__(self, keeper: FrameOutbox) -> None:
        self._outboxes: tuple[FrameOutbox, ...] = (keeper,)
        self._adapters: SharedAdapters | None = None
        self._servers: set[EngineServer] = set()
        self._num_connected = 0
        self._changed = asyncio.Event()
        self._listener: asyncio.Server | None = None

    def report(self, report: StepReport) -> None:
        """Sends the report of a step to all; called on the engine's thread."""
        for outbox in self._outboxes:
            outbox.report(report)

    def put(self, message: FromEngine) -> None:
        """Sends a message to all."""
        for outbox in self._outboxes:
            outbox.put(message)

    def serve(
        self,
        engine: Engine,
        outbox: FrameOutbox,
        *,
        on_close: Callable[[], None],
        on_leave: Callable[[], None],
        is_front: bool = True,
    ) -> EngineServer:
        """Returns a server of the requests of an endpoint.

        Args:
            engine: The engine.
            outbox: Outbox to the endpoint.
            on_close: Called when the endpoint closes the engine.
            on_leave: Called when the endpoint lets the engine leave.
            is_front: Whether the adapters that the engine has loaded stay for the endpoint.
        """
        if self._adapters is None:
            self._adapters = SharedAdapters(engine)
        server = EngineServer(
            engine,
            self._adapters,
            outbox,
            on_close=on_close,
            on_leave=on_leave,
            on_idle=self._change,
        )
        if is_front:
            self._adapters.join(server)
        self._servers.add(server)
        return server

    async def listen(self, host: str, engine: Engine) -> Listening:
        """Accepts connections of endpoints that know the secret.

        Args:
            host: Address to listen on; the port is any free one.
            engine: The engine.

        Raises:
            OSError: The address cannot be listened on.
        """
        secret = secrets.token_bytes(SECRET_BYTES)
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: _Doorway(secret, lambda: self._connect(engine)), host, 0
        )
        return Listening(self._listener.sockets[0].getsockname()[1], secret)

    def close(self) -> None:
        """Accepts no more connections; those that there are stay."""
        if self._listener is not None:
            self._listener.close()

    async def leave(self) -> None:
        """Tells all that the engine leaves; ends when its requests have ended."""
        self.close()
        self.put(Leaving())
        while any(server.num_running for server in self._servers):
            await self._next_change()
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while self._num_connected:
                    await self._next_change()
        except TimeoutError:
            pass

    def _connect(self, engine: Engine) -> EngineConnection[ToEngine]:
        def lose(_error: Exception | None) -> None:
            self._outboxes = tuple(known for known in self._outboxes if known is not outbox)
            self._servers.discard(server)
            server.close()
            self._num_connected -= 1
            self._change()

        connection = EngineConnection(TO_ENGINE, lambda messages: server.receive(messages), lose)
        outbox = outbox_of(connection)
        server = self.serve(engine, outbox, on_close=connection.close, on_leave=connection.close)
        self._outboxes += (outbox,)
        self._num_connected += 1
        outbox.put(Opened(engine.card))
        return connection

    def _change(self) -> None:
        self._changed.set()

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class _Doorway(asyncio.Protocol):
    """Beginning of a connection, until the other side has sent the secret.

    Args:
        secret: The secret.
        connect: Makes the protocol for the rest of the connection.
    """

    def __init__(self, secret: bytes, connect: Callable[[], asyncio.Protocol]) -> None:
        self._secret = secret
        self._connect = connect
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Implements `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(SECRET_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Implements `asyncio.Protocol`."""
        assert self._transport is not None and self._timer is not None
        self._received += data
        if len(self._received) < len(self._secret):
            return
        self._timer.cancel()
        given, rest = self._received[: len(self._secret)], self._received[len(self._secret) :]
        if not hmac.compare_digest(given, self._secret):
            self._transport.abort()
            return
        connection = self._connect()
        self._transport.set_protocol(connection)
        connection.connection_made(self._transport)
        connection.data_received(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        """Implements `asyncio.Protocol`."""
        if self._timer is not None:
            self._timer.cancel()
