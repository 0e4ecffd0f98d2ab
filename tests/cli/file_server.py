"""A server of one file that can be made to misbehave."""

import contextlib
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FileServer:
    """Serves bytes on a loopback port.

    Attributes:
        content: Content of the file.
        etag: ETag of the file.
        cuts: Number of bytes after which each of the next responses breaks off.
        ranges: Whether the server supports ranges.
        conditions: Whether the server supports `if-range`.
        redirect: Headers of a redirect before the file, as a hub's; None for no redirect.
        status: Status of the response instead of 200, with the same bytes.
        halfway: Called when half of a response has been sent.
        script: Raw responses to the next requests, made from the first byte of the requested range,
            or None. Afterwards the server behaves as the other attributes say.
        seen: Path and headers of each request.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.etag = '"one"'
        self.cuts: list[int] = []
        self.ranges = True
        self.conditions = True
        self.redirect: dict[str, str] | None = None
        self.status: int | None = None
        self.halfway: Callable[[], None] = lambda: None
        self.script: list[Callable[[int | None], bytes]] = []
        self.seen: list[tuple[str, dict[str, str]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            if server.script:
                self._send_raw(server.script.pop(0))
            elif server.status is not None:
                self._head(server.status, {"content-length": str(len(server.content))})
                self.wfile.write(server.content)
            elif server.redirect is not None and not self.path.startswith("/blob"):
                location = f"http://localhost:{server.port}/blob"
                self._head(302, {"location": location, **server.redirect})
            else:
                self._send_file()

        def _send_raw(self, respond: Callable[[int | None], bytes]) -> None:
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
            self.wfile.write(respond(int(wanted[1]) if wanted else None))
            self.close_connection = True

        def _send_file(self) -> None:
            whole = len(server.content)
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
            asked = self.headers.get("if-range", server.etag)
            same = asked == server.etag or not server.conditions
            start = int(wanted[1]) if wanted and same and server.ranges else 0
            if start >= whole > 0:
                return self._head(416, {"content-range": f"bytes */{whole}"})
            more = {"content-range": f"bytes {start}-{whole - 1}/{whole}"} if start else {}
            rest = server.content[start:]
            headers = {"content-length": str(len(rest)), "etag": server.etag, **more}
            self._head(206 if start else 200, headers)
            sent = rest[: server.cuts.pop(0)] if server.cuts else rest
            middle = len(sent) // 2
            with contextlib.suppress(ConnectionError):
                self.wfile.write(sent[:middle])
                server.halfway()
                self.wfile.write(sent[middle:])

        def _head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
