"""HTTP responses together with the answers that they carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class RawResponse(Generic[T]):
    """HTTP response whose answer is parsed on demand.

    Attributes:
        http_response: Response of the HTTP client, for example an `httpx2.Response`.
    """

    def __init__(self, response: Any, read: Callable[[], T]) -> None:
        self.http_response = response
        self._read = read
        self._parsed: list[T] = []

    @property
    def status_code(self) -> int:
        """HTTP status code."""
        status: int = self.http_response.status_code
        return status

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers; names are case-insensitive."""
        headers: Mapping[str, str] = self.http_response.headers
        return headers

    @property
    def request_id(self) -> str | None:
        """Value of the header `x-request-id`, or None."""
        return self.headers.get("x-request-id")

    def parse(self) -> T:
        """Return the answer or the stream; the same object each time.

        Raises:
            friendli.ResponseValidationError: The response is not a valid completion.
            friendli.AnswerNotParsedError: The answer does not match the type `response_format`.
        """
        if not self._parsed:
            self._parsed.append(self._read())
        return self._parsed[0]
