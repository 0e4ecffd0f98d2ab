"""Bodies of requests in memory: counted over all connections until they have been parsed."""

import threading
from typing import TypeVar

from pydantic import BaseModel

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.body import parse_body

__all__ = ["BodyMemory", "HeldBody", "memory_full"]

Body = TypeVar("Body", bound=BaseModel)


class BodyMemory:
    """Bytes of request bodies that may be held at once; any thread may use it.

    Args:
        max_bytes: How many.
    """

    def __init__(self, max_bytes: int = 256 << 20) -> None:
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """How many are held now."""
        return self._num_bytes

    def take(self, num_bytes: int) -> bool:
        """Takes so many, or none where they are not there."""
        with self._lock:
            taken = self._num_bytes + num_bytes <= self._max_bytes
            self._num_bytes += num_bytes if taken else 0
            return taken

    def give_back(self, num_bytes: int) -> None:
        """Gives back what was taken."""
        with self._lock:
            self._num_bytes -= num_bytes


def memory_full() -> RequestError:
    """The answer to a request for whose body there is no memory."""
    return RequestError(
        "the endpoint holds as many bytes of request bodies as it may",
        status=503,
        code="body_memory_full",
        retry_after=1,
    )


class HeldBody:
    """The body of one request, counted from its arrival until it has been parsed.

    The event loop counts and fills it, a worker thread parses it, and the event loop closes it when
    the request has ended. A thread that has begun to parse by then holds the bytes until it is
    done; a thread that has not yet begun finds nothing any more.

    Args:
        memory: Where the bytes are counted.

    Attributes:
        is_refused: Whether there was no memory for a part of it.
    """

    def __init__(self, memory: BodyMemory) -> None:
        self._memory = memory
        self._num_bytes = 0
        self._content: list[bytes] = []  # at most one: who pops it gives the memory back
        self._is_filled = self._is_closed = False
        self.is_refused = False

    def count(self, num_bytes: int) -> bool:
        """Counts bytes that have arrived; false where they must not be kept."""
        if self._is_closed or self.is_refused:
            return False
        self.is_refused = not self._memory.take(num_bytes)
        self._num_bytes += 0 if self.is_refused else num_bytes
        return not self.is_refused

    def fill(self, content: bytes) -> None:
        """Takes the whole body; its bytes have been counted."""
        self._is_filled = True
        self._content.append(content)

    def parse(self, kind: type[Body], max_messages: int | None = None) -> Body:
        """Validates the body, and counts it no more; may take a while, so call it in a thread.

        Args:
            kind: As for `parse_body`.
            max_messages: As for `parse_body`.

        Raises:
            RequestError: As of `parse_body`; 408 where the request has ended before.
        """
        try:
            content = self._content.pop()
        except IndexError:
            raise RequestError("the request has ended", status=408, code="ended") from None
        try:
            return parse_body(content, kind, max_messages)
        finally:
            self._memory.give_back(self._num_bytes)

    def close(self) -> None:
        """Gives the memory back, unless a thread is parsing or has parsed the body."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._is_filled:
            try:
                self._content.pop()
            except IndexError:
                return
        self._memory.give_back(self._num_bytes)
