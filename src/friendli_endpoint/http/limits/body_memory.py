"""Memory for request bodies: counted over all connections until the bodies have been parsed."""

import threading
from typing import TypeVar

from pydantic import BaseModel

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.body import parse_body
from friendli_endpoint.http.content_coding import Decode

__all__ = ["BodyMemoryBudget", "BufferedBody", "body_memory_full_error", "no_body_error"]

Body = TypeVar("Body", bound=BaseModel)


class BodyMemoryBudget:
    """Limit of the bytes of all request bodies in memory; safe to use from many threads.

    Args:
        max_bytes: Maximum number of bytes.
    """

    def __init__(self, max_bytes: int = 256 << 20) -> None:
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """Number of bytes reserved now."""
        return self._num_bytes

    def reserve(self, num_bytes: int) -> bool:
        """Reserves bytes; returns False, and reserves none, if they would exceed the limit."""
        with self._lock:
            fits = self._num_bytes + num_bytes <= self._max_bytes
            self._num_bytes += num_bytes if fits else 0
            return fits

    def release(self, num_bytes: int) -> None:
        """Releases bytes that were reserved."""
        with self._lock:
            self._num_bytes -= num_bytes


def body_memory_full_error() -> RequestError:
    """Returns the error of a request whose body does not fit into the budget."""
    return RequestError(
        "the memory for request bodies is full; retry later",
        status=503,
        code="body_memory_full",
        retry_after=1,
    )


def no_body_error() -> RequestError:
    """Returns the error of a request whose body is empty."""
    return RequestError("the request has no body: a JSON object is required", code="invalid_json")


class BufferedBody:
    """The body of one request; its memory is reserved from its arrival until it has been parsed.

    The event loop reserves the memory and sets the content, a worker thread parses it, and the
    event loop closes it when the request has ended. If a thread is parsing by then, it keeps the
    memory until it is done; a thread that has not begun to parse finds no content and raises.

    Args:
        memory: Budget that the bytes are reserved in.

    Attributes:
        is_rejected: Whether the budget had no memory for a part of the body.
    """

    def __init__(self, memory: BodyMemoryBudget) -> None:
        self._memory = memory
        self._num_bytes = 0
        self._decode: Decode | None = None
        self._content: list[bytes] = []  # at most one: whoever pops it releases the memory
        self._is_complete = self._is_closed = False
        self.is_rejected = False

    def reserve(self, num_bytes: int) -> bool:
        """Reserves memory for bytes that have arrived; returns False if they must be discarded."""
        if self._is_closed or self.is_rejected:
            return False
        self.is_rejected = not self._memory.reserve(num_bytes)
        self._num_bytes += 0 if self.is_rejected else num_bytes
        return not self.is_rejected

    def set_content(self, content: bytes, decode: Decode | None = None) -> None:
        """Sets the complete body, whose memory has been reserved.

        Args:
            content: The body.
            decode: Decodes it before it is parsed; None if it has no content coding.
        """
        self._is_complete = True
        self._decode = decode
        self._content.append(content)

    def parse(self, kind: type[Body], max_messages: int | None = None) -> Body:
        """Decodes and parses the body, and releases its memory; blocks: call it in a worker thread.

        Args:
            kind: As for `parse_body`.
            max_messages: As for `parse_body`.

        Raises:
            RequestError: As for `parse_body` and `decoder_of`; 400 if the body is empty, 503 if
                there is no memory for the decoded body, 408 if the request has already ended.
        """
        try:
            content = self._content.pop()
        except IndexError:
            raise RequestError("the request has ended", status=408, code="ended") from None
        try:
            if self._decode is not None:
                content = self._decode(content, self._reserve_decoded)
            if not content:
                raise no_body_error()
            return parse_body(content, kind, max_messages)
        finally:
            self._memory.release(self._num_bytes)

    def _reserve_decoded(self, num_bytes: int) -> None:
        if not self._memory.reserve(num_bytes):
            raise body_memory_full_error()
        self._num_bytes += num_bytes

    def close(self) -> None:
        """Releases the memory, unless a thread is parsing or has parsed the body."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._is_complete:
            try:
                self._content.pop()
            except IndexError:
                return
        self._memory.release(self._num_bytes)
