"""A scripted application behind the real server, on its own port."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from friendli_endpoint.engine.core.outbox import Deliver
from friendli_endpoint.generation import EngineError, GenerationRequest, RequestError
from friendli_endpoint.http.limits.body_memory import BodyMemoryBudget
from friendli_endpoint.server.draining import DrainingServer, make_server
from friendli_endpoint.settings import Settings
from tests.http.scripted import (
    BOUND,
    COMPLETIONS,
    VALID,
    ScriptedLoop,
    ScriptedService,
    scripted_app,
)

LINE = b"\r\n\r\n"
GET = b"GET /health HTTP/1.1\r\nhost: here\r\n\r\n"


def posting(stream: bool) -> bytes:
    """A request for a completion."""
    body = json.dumps({**VALID, "stream": stream}).encode()
    lines = f"content-type: application/json\r\ncontent-length: {len(body)}"
    return f"POST {COMPLETIONS} HTTP/1.1\r\nhost: here\r\n{lines}".encode() + LINE + body


def closing(request: bytes) -> bytes:
    """Returns the same request with `connection: close`."""
    return request.replace(b"HTTP/1.1", b"HTTP/1.1\r\nconnection: close", 1)


CLOSING = closing(GET)


class ThreadedLoop(ScriptedLoop):
    """A scripted engine that signals its calls to another thread."""

    def __init__(self, submitted: threading.Event, cancel_called: threading.Event) -> None:
        super().__init__()
        self._submitted = submitted
        self._cancel_called = cancel_called

    def submit(self, request: GenerationRequest, deliver: Deliver) -> None:
        super().submit(request, deliver)
        self._submitted.set()

    def cancel(self, request_id: str) -> None:
        super().cancel(request_id)
        self._cancel_called.set()


class DrainedService(ScriptedService):
    """A scripted service that can be drained and closed."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted = threading.Event()
        self.cancelled = threading.Event()
        self.closed = False
        self.scripted = ThreadedLoop(self.submitted, self.cancelled)

    def drain(self) -> None:
        self.error = RequestError("shutting down", status=503, code="draining", retry_after=1)

    async def aclose(self) -> None:
        self.closed = True
        if self.submitted.is_set():
            self.scripted.deliver(EngineError("shutting down", is_closing=True))


@dataclass(frozen=True)
class Served:
    """A running server.

    Attributes:
        body_memory: Budget of the bytes of all request bodies.
    """

    service: DrainedService
    server: DrainingServer
    thread: threading.Thread
    port: int
    body_memory: BodyMemoryBudget

    def connect(self, **options: Any) -> socket.socket:
        """Returns a new connection."""
        connection = socket.socket()
        for option, value in options.items():
            connection.setsockopt(socket.SOL_SOCKET, getattr(socket, option), value)
        connection.settimeout(BOUND)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def send(self, *chunks: bytes) -> "Reading":
        """Sends bytes on a new connection; reads the response until the connection is closed."""
        with self.connect() as connection:
            for chunk in chunks:
                connection.sendall(chunk)
            return read(connection)


@dataclass(frozen=True)
class Reading:
    """A response as bytes."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split()[1]) if self.head else 0


def read(connection: socket.socket) -> Reading:
    """Reads to the end of a connection."""
    chunks = []
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    head, _, body = b"".join(chunks).partition(LINE)
    return Reading(head, body)


@contextlib.contextmanager
def served(
    *, max_body: int = 10_000, tls: tuple[Path, Path] | None = None, **settings: Any
) -> Iterator[Served]:
    """Serves a scripted service with these settings until the block ends."""
    service = DrainedService()
    cert, key = tls or (None, None)
    made = Settings(tls_cert=cert, tls_key=key, **settings)
    body_memory = BodyMemoryBudget(made.max_body_memory)
    app = scripted_app(
        service, max_body, receive_seconds=made.receive_seconds, body_memory=body_memory
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = make_server(app, service, made, body_memory)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield Served(service, server, thread, listener.getsockname()[1], body_memory)
    finally:
        server.should_exit = server.force_exit = True
        thread.join(BOUND)
    assert not thread.is_alive(), "the server did not stop"
