"""A log handler that writes in its own thread, so that logging never blocks.

A pipe without a reader holds 64 KiB; a write beyond that would block the event loop for ever.
"""

import io
import logging
import os
import queue
import select
import threading

__all__ = ["LogQueue", "QueuedStream", "wait_until_logged"]

CLOSE_SECONDS = 1.0
"""Maximum time that the exit of the process waits for unwritten lines, in seconds."""


class LogQueue(logging.Handler):
    """Log handler that formats at once and writes later; drops and counts lines above its limits.

    *Usage:*

        lines = LogQueue(2)
        logging.basicConfig(handlers=[lines])
        sys.stderr = QueuedStream(lines)
        ...
        wait_until_logged()  # before os._exit; a normal exit does it by itself

    Args:
        descriptor: Descriptor of an open file; the handler does not close it.
        max_lines: Maximum number of unwritten lines.
        max_bytes: Maximum number of bytes of unwritten lines.
    """

    def __init__(self, descriptor: int, max_lines: int = 10_000, max_bytes: int = 64 << 20) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        # A SimpleQueue is reentrant: a signal handler may use it while it is being used.
        self._lines: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        self._bytes_put = self._bytes_taken = 0
        self._num_dropped = self._num_reported = 0
        threading.Thread(target=self._write_lines, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Formats a record and queues it."""
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
        else:
            self.put(line)

    def handleError(self, record: logging.LogRecord) -> None:
        """Counts a record that cannot be formatted; logging's own would write to standard error."""
        self._num_dropped += 1

    def put(self, line: str) -> None:
        """Queues a line, or drops it if the queue is full."""
        content = line.encode(errors="backslashreplace") + b"\n"
        self.acquire()
        try:
            num_bytes = self._bytes_put - self._bytes_taken + len(content)
            if self._lines.qsize() >= self._max_lines or num_bytes > self._max_bytes:
                self._num_dropped += 1
                return
            self._bytes_put += len(content)
            self._lines.put(content)
        finally:
            self.release()

    def wait_until_written(self, seconds: float) -> bool:
        """Waits until all queued lines are written; returns False after `seconds`."""
        written = threading.Event()
        self._lines.put(written)
        return written.wait(seconds)

    def close(self) -> None:
        """Writes the queued lines; `logging.shutdown` calls it at the exit of the process."""
        self.wait_until_written(CLOSE_SECONDS)
        super().close()

    def _write_lines(self) -> None:
        while True:
            line = self._lines.get()
            if isinstance(line, threading.Event):
                line.set()
                continue
            self._bytes_taken += len(line)
            if self._write(line):
                self._report_dropped()

    def _report_dropped(self) -> None:
        num_dropped = self._num_dropped - self._num_reported
        if num_dropped:
            message = f"dropped {num_dropped} lines of the log, as it was not read in time"
            record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (), None)
            if self._write(self.format(record).encode() + b"\n"):
                self._num_reported += num_dropped

    def _write(self, content: bytes) -> bool:
        """Writes all bytes, however long that takes; returns False if the file is not writable."""
        rest = memoryview(content)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError:
                return False
        return True


class QueuedStream(io.TextIOBase):
    """Replacement of standard error, for everything but the log: warnings, tracebacks.

    Args:
        lines: Queue that its lines are written to.
        is_terminal: Whether the file of the queue is a terminal.
    """

    encoding = "utf-8"

    def __init__(self, lines: LogQueue, is_terminal: bool = False) -> None:
        super().__init__()
        self._lines = lines
        self._is_terminal = is_terminal
        self._incomplete = ""

    def write(self, text: str) -> int:
        """Queues the lines that are complete and keeps the rest; returns the length of `text`."""
        *complete, self._incomplete = (self._incomplete + text).split("\n")
        for line in complete:
            self._lines.put(line)
        return len(text)

    def flush(self) -> None:
        """Queues an incomplete line."""
        if self._incomplete:
            self.write("\n")

    def isatty(self) -> bool:
        """Whether the file of the queue is a terminal."""
        return self._is_terminal


def wait_until_logged(seconds: float = CLOSE_SECONDS) -> bool:
    """Waits until everything logged so far is written; returns False after `seconds`."""
    queues = [handler for handler in logging.root.handlers if isinstance(handler, LogQueue)]
    return all(lines.wait_until_written(seconds) for lines in queues)
