"""A log that is written by a thread of its own, so that nothing that logs waits for its reader.

A pipe that nobody reads holds 64 KiB; who writes more, such as the event loop, waits for ever.
"""

import io
import logging
import os
import queue
import select
import threading

__all__ = ["LogQueue", "QueuedStream", "wait_until_logged"]

CLOSE_SECONDS = 1.0
"""How long the end of the process waits for what has not been written."""


class LogQueue(logging.Handler):
    """Handler that formats at once and writes later; drops what is too much, and counts it.

    *Usage:*

        lines = LogQueue(2)
        logging.basicConfig(handlers=[lines])
        sys.stderr = QueuedStream(lines)
        ...
        wait_until_logged()  # before os._exit; an ordinary end does it by itself

    Args:
        descriptor: Of an open file, which stays open.
        max_lines: How many may wait.
        max_bytes: How many bytes they may have together.
    """

    def __init__(self, descriptor: int, max_lines: int = 10_000, max_bytes: int = 64 << 20) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        # A SimpleQueue may be used by a signal handler that interrupts its use.
        self._lines: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        self._bytes_put = self._bytes_taken = 0
        self._num_dropped = self._num_reported = 0
        threading.Thread(target=self._write_lines, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Has a record written."""
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
        else:
            self.put(line)

    def handleError(self, record: logging.LogRecord) -> None:
        """Counts a record that has no form; logging's own would write to standard error."""
        self._num_dropped += 1

    def put(self, line: str) -> None:
        """Has a line written, if there is room for it."""
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
        """Waits for the lines that have been put; at most so long, and false where it is longer."""
        written = threading.Event()
        self._lines.put(written)
        return written.wait(seconds)

    def close(self) -> None:
        """Ends as `logging.shutdown` has it at the end of the process."""
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
            message = f"dropped {num_dropped} lines of the log, which was not read in time"
            record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (), None)
            if self._write(self.format(record).encode() + b"\n"):
                self._num_reported += num_dropped

    def _write(self, content: bytes) -> bool:
        """Writes all of it, however long that takes; false where nobody will ever read it."""
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
    """Stands for standard error, for all that writes there and is no log: warnings, tracebacks.

    Args:
        lines: Where its lines go.
        is_terminal: Whether a person reads them.
    """

    encoding = "utf-8"

    def __init__(self, lines: LogQueue, is_terminal: bool = False) -> None:
        super().__init__()
        self._lines = lines
        self._is_terminal = is_terminal
        self._begun = ""

    def write(self, text: str) -> int:
        """Takes text; lines that are whole are written."""
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._lines.put(line)
        return len(text)

    def flush(self) -> None:
        """Has a line written that is not whole."""
        if self._begun:
            self.write("\n")

    def isatty(self) -> bool:
        """Whether a person reads it."""
        return self._is_terminal


def wait_until_logged(seconds: float = CLOSE_SECONDS) -> bool:
    """Waits for all that has been logged; at most so long, and false where it takes longer."""
    queues = [handler for handler in logging.root.handlers if isinstance(handler, LogQueue)]
    return all(lines.wait_until_written(seconds) for lines in queues)
