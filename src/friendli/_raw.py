"""HTTP responses together with the answers that they carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class RawResponse(Generic[T]):
    """HTTP response whose answer is parsed on demand.

    A stream that is neither parsed nor taken as `http_response` gives its connection back when this
    object is garbage-collected.
    """

    def __init__(
        self, response: Any, read: Callable[[], T], close: Callable[[], object] | None = None
    ) -> None:
        self._response = response
        self._read = read
        self._close = close
        self._parsed: list[T] = []

    def __del__(self) -> None:
        close = getattr(self, "_close", None)
        if close is not None:
            close()

    @property
    def http_response(self) -> Any:
        """Response of the HTTP client, for example an `httpx2.Response`.

        A program that reads the body of a stream through it also closes it.
        """
        self._close = None
        return self._response

    @property
    def status_code(self) -> int:
        """HTTP status code."""
        status: int = self._response.status_code
        return status

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers; names are case-insensitive."""
        headers: Mapping[str, str] = self._response.headers
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
            self._close = None  # the stream closes itself
            self._parsed.append(self._read())
        return self._parsed[0]
