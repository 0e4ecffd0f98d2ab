"""The HTTP response beside the answer that it carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class RawResponse(Generic[T]):
    """An HTTP response, and the answer in it.

    Attributes:
        http_response: The transport's response.
    """

    def __init__(self, response: Any, read: Callable[[], T]) -> None:
        self.http_response = response
        self._read = read
        self._parsed: list[T] = []

    @property
    def status_code(self) -> int:
        """HTTP status."""
        status: int = self.http_response.status_code
        return status

    @property
    def headers(self) -> Mapping[str, str]:
        """HTTP headers, case-insensitive."""
        headers: Mapping[str, str] = self.http_response.headers
        return headers

    @property
    def request_id(self) -> str | None:
        """The server's `x-request-id`, or None."""
        return self.headers.get("x-request-id")

    def parse(self) -> T:
        """Give the answer, or the stream; the same object each time.

        Raises:
            ResponseValidationError: The answer is not what it should be.
        """
        if not self._parsed:
            self._parsed.append(self._read())
        return self._parsed[0]
