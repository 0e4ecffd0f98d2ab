"""HTTP server on a loopback socket that sends the bytes that a test provides."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from friendli.models import UserMessageTypedDict

MESSAGES: list[UserMessageTypedDict] = [{"role": "user", "content": "Hello!"}]


@dataclass
class Recorded:
    """Request that the server received."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} was sent {len(found)} times"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Peer:
    """Server side of one connection, for answers that are functions."""

    def __init__(self, sock: socket.socket, stop: threading.Event) -> None:
        self.sock = sock
        self.stop = stop

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_for_disconnect(self) -> bool:
        """Wait until the client disconnects; return False if the server stops first."""
        self.sock.settimeout(0.05)
        while not self.stop.is_set():
            try:
                if not self.sock.recv(65536):
                    return True
            except TimeoutError:
                continue
            except OSError:
                return True
        return False


Answer = bytes | Callable[[Peer], object]


@dataclass
class Server:
    """Server that sends `answers` in order and repeats the last one."""

    answers: list[Answer]
    requests: list[Recorded] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        acceptor.start()
        try:
            yield self
        finally:
            self._stop.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            acceptor.join(5)
            with self._lock:
                threads = list(self._threads)
                for sock in self._open:
                    with contextlib.suppress(OSError):
                        sock.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(5)

    def join(self) -> None:
        """Wait until the connections that clients have closed are closed here too."""
        for thread in self._threads:
            thread.join(2)
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]

    def _accept(self, listener: socket.socket) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            with self._lock:
                self.connections += 1
                self._open.add(sock)
                self._threads = [t for t in self._threads if t.is_alive()] + [thread]
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        peer = Peer(sock, self._stop)
        reader = sock.makefile("rb")
        try:
            while (request := _read(reader)) is not None:
                with self._lock:
                    answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
                    self.requests.append(request)
                if isinstance(answer, bytes):
                    sock.sendall(answer)
                    if b"connection: close" in answer.lower():
                        return
                elif answer(peer) is not True:
                    return
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open.discard(sock)
            reader.close()
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


@contextlib.contextmanager
def tls_server(context: ssl.SSLContext, answer: bytes) -> Iterator[str]:
    """Serve an answer for each connection over TLS, and yield the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    sock, _ = listener.accept()
                    with sock, context.wrap_socket(sock, server_side=True) as secure:
                        with secure.makefile("rb") as reader:
                            _read(reader)
                        secure.sendall(answer)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            thread.join()


Serve = Callable[..., Server]
"""Type of the fixture that starts servers."""


def _read(reader: Any) -> Recorded | None:
    line = reader.readline()
    if not line:
        return None
    headers = []
    while (header := reader.readline()) not in (b"\r\n", b""):
        name, _, value = header.decode("latin-1").partition(":")
        headers.append((name, value.strip(" \r\n")))
    length = int({n.lower(): v for n, v in headers}.get("content-length", "0"))
    return Recorded(line.decode("latin-1").strip(), headers, reader.read(length))


def head(status: int = 200, headers: dict[str, str] | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer(
    body: bytes = b"",
    status: int = 200,
    content_type: str | None = "application/json",
    **headers: str,
) -> bytes:
    """HTTP response with a content-length."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        named["content-type"] = content_type
    return head(status, {**named, "content-length": str(len(body))}) + body


def json_answer(value: Any, status: int = 200, **headers: str) -> bytes:
    return answer(json.dumps(value).encode(), status, **headers)


def stream_head(**headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return head(
        200,
        {
            "content-type": "text/event-stream; charset=utf-8",
            "transfer-encoding": "chunked",
            **named,
        },
    )


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream_answer(chunks: Iterable[bytes], **headers: str) -> bytes:
    """HTTP response with a complete stream, in these HTTP chunks."""
    body = b"".join(chunked(data) for data in chunks if data)
    return stream_head(**headers) + body + b"0\r\n\r\n"


def event(data: Any) -> bytes:
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return b"data: " + text + b"\n\n"


DONE = event(b"[DONE]")


def completion(content: str | None = "Hi", **changes: Any) -> dict[str, Any]:
    """JSON of a whole answer."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "endpoint",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        **changes,
    }


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, **changes: Any
) -> dict[str, Any]:
    """JSON of one event."""
    choices = (
        []
        if delta is None
        else [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
    )
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "endpoint",
        "choices": choices,
        "usage": None,
        **changes,
    }


def words(*texts: str) -> list[bytes]:
    """Events of a complete stream with these content deltas."""
    return [
        event(chunk({"role": "assistant", "content": ""})),
        *(event(chunk({"content": text})) for text in texts),
        event(chunk({}, "stop")),
        DONE,
    ]


A, B = event(chunk({"content": "a"})), event(chunk({"content": "b"}))
STOP = event(chunk({}, "stop"))

SECRET = "flp_very-secret-token"
ERROR = {"error": {"message": "no such endpoint", "type": "x", "param": "model", "code": "nope"}}
