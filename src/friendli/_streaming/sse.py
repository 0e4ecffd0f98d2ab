"""Decoder of server-sent events: bytes in, events out.

Implements https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6: a leading
byte order mark is stripped; lines end with LF, CR or CRLF, wherever the chunks are split; lines
that begin with a colon are comments; the `data` lines of an event are joined by LF; an event
without a `data` line is ignored; an event that is not terminated by an empty line at the end of the
body is discarded; invalid UTF-8 becomes U+FFFD. `id` and `retry` serve reconnection, which this
client does not do: they are ignored.

No I/O, and no JSON.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_EVENT: Final = 16 * 1024 * 1024
"""Default maximum size of one event, in bytes."""

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """Server-sent event.

    Attributes:
        data: Payload, valid UTF-8.
        name: Value of the field `event`; empty if there is none.
    """

    data: bytes
    name: str


class SSEDecoder:
    """Incremental decoder of an event stream; linear in the bytes, however they are split.

    Args:
        max_event: Maximum number of bytes buffered for one event.

    Attributes:
        too_large: Whether an event has exceeded the maximum; no event follows it.
    """

    __slots__ = (
        "_after_cr",
        "_data",
        "_head",
        "_max",
        "_name",
        "_pending",
        "_pending_size",
        "_size",
        "too_large",
    )

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self.too_large = False
        self._max = max_event
        self._head: bytes | None = b""  # the first bytes, until it is clear whether they are a BOM
        self._after_cr = False
        self._pending: list[bytes] = []  # fragments of an unfinished line
        self._pending_size = 0
        self._data: list[bytes] = []
        self._size = 0
        self._name = b""

    def feed(self, chunk: bytes) -> list[Event]:
        """Add the next bytes and return the events that they complete."""
        if self.too_large:
            return []
        if self._is_one_event(chunk):
            return [Event(_valid(chunk[6:-2]), "")]
        if self._head is not None:
            chunk = self._head + chunk
            if len(chunk) < 3 and _BOM.startswith(chunk):
                self._head = chunk
                return []
            self._head = None
            chunk = chunk.removeprefix(_BOM)
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = chunk.split(b"\n")
        rest = lines.pop()
        events: list[Event] = []
        if lines:
            if self._pending:
                self._pending.append(lines[0])
                lines[0] = b"".join(self._pending)
                self._pending.clear()
                self._pending_size = 0
            self._parse_lines(lines, events)
        if rest:
            self._pending.append(rest)
            self._pending_size += len(rest)
            if self._pending_size + self._size > self._max:
                self._overflow()
        return events

    def _is_one_event(self, chunk: bytes) -> bool:
        """Return whether a chunk is exactly one event, as servers send them: the fast path."""
        end = len(chunk) - 2
        return (
            chunk.find(b"\n") == end
            and chunk.startswith(b"data: ")
            and chunk.endswith(b"\n\n")
            and not (self._pending or self._data or self._name or self._after_cr)
            and self._head is None
            and b"\r" not in chunk
            and end - 5 <= self._max
        )

    def _parse_lines(self, lines: list[bytes], events: list[Event]) -> None:
        data = self._data
        for line in lines:
            if line.startswith(b"data:"):
                value = line[6:] if line[5:6] == b" " else line[5:]
                self._size += len(value) + 1
                if self._size > self._max:
                    return self._overflow()
                data.append(value)
            elif not line:
                if data:
                    payload = data[0] if len(data) == 1 else b"\n".join(data)
                    events.append(Event(_valid(payload), _text(self._name) if self._name else ""))
                    data.clear()
                self._size = 0
                self._name = b""
            elif line == b"data":
                self._size += 1
                if self._size > self._max:
                    return self._overflow()
                data.append(b"")
            elif line.startswith(b"event:"):
                self._name = line[7:] if line[6:7] == b" " else line[6:]
            elif line == b"event":
                self._name = b""

    def _overflow(self) -> None:
        self.too_large = True
        self._pending.clear()
        self._data.clear()


def _valid(payload: bytes) -> bytes:
    if payload.isascii():
        return payload
    try:
        payload.decode()
    except UnicodeDecodeError:
        return payload.decode(errors="replace").encode()
    return payload


def _text(name: bytes) -> str:
    return name.decode(errors="replace")
