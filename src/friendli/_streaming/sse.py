"""Event streams: bytes in, events out.

Follows https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6: a leading
byte order mark is stripped, lines end with LF, CR or CRLF, wherever the bytes were cut; lines that
begin with a colon are comments; `data` lines of an event are joined by LF; an event without a
`data` line is nothing; what has not ended with an empty line when the body ends is discarded;
invalid UTF-8 becomes U+FFFD. `id` and `retry` serve reconnection, which is not ours to do: they
are read over.

Knows no network and no JSON.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MAX_EVENT: Final = 16 * 1024 * 1024
"""Default bound on one event, in bytes."""

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event.

    Attributes:
        data: The payload, valid UTF-8.
        name: The `event` field; empty where the stream named none.
    """

    data: bytes
    name: str


class SSEDecoder:
    """Cuts a byte stream into events. The cost is linear in the bytes, however they are cut.

    Args:
        max_event: Bound on the bytes kept for one event.

    Attributes:
        too_large: An event has exceeded the bound; nothing comes after it.
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
        self._pending: list[bytes] = []  # pieces of a line that has not ended
        self._pending_size = 0
        self._data: list[bytes] = []
        self._size = 0
        self._name = b""

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes and give the events that they complete."""
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
            self._take(lines, events)
        if rest:
            self._pending.append(rest)
            self._pending_size += len(rest)
            if self._pending_size + self._size > self._max:
                self._overflow()
        return events

    def _is_one_event(self, chunk: bytes) -> bool:
        """Tell whether a chunk is one whole event, as servers send them: no line is left to cut."""
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

    def _take(self, lines: list[bytes], events: list[Event]) -> None:
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
