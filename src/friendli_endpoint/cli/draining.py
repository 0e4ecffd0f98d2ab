"""A server that ends in order: nothing new, time for what runs, then a word to the rest."""

import asyncio
import socket
from types import FrameType

import uvicorn

from friendli_endpoint.app import EndpointService

__all__ = ["DrainingServer"]

LOOK_SECONDS = 0.05


class DrainingServer(uvicorn.Server):
    """uvicorn's, which would stop listening at once and leave clients to guess.

    Args:
        config: uvicorn's; its own graceful time only has to cover what is said at the very end.
        service: Told to take no more requests at the first signal, and to stop after the time.
        seconds: How long running requests may go on.
    """

    def __init__(self, config: uvicorn.Config, service: EndpointService, seconds: float) -> None:
        super().__init__(config)
        self._service = service
        self._seconds = seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drains at the first signal, and ends at once at the second."""
        again = self.should_exit
        super().handle_exit(sig, frame)
        self.force_exit = again

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answers 503 while running requests go on to their end; then ends."""
        self._service.drain()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        while self.server_state.tasks and not self.force_exit and loop.time() < deadline:
            await asyncio.wait(self.server_state.tasks, timeout=LOOK_SECONDS)
        await asyncio.to_thread(self._service.close)
        await super().shutdown(sockets)
