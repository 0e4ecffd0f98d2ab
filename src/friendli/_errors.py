"""Errors of the client.

    FriendliError                          base of all errors of this client
    ├── FriendliCoreError                  a response arrived, but not the expected one
    │   ├── SDKError                       an error status, or a response of the wrong kind
    │   │   ├── BadRequestError            400
    │   │   ├── AuthenticationError        401
    │   │   ├── PermissionDeniedError      403
    │   │   ├── NotFoundError              404: unknown endpoint or adapter, or a wrong server_url
    │   │   ├── RequestTooLargeError       413
    │   │   ├── UnprocessableEntityError   422
    │   │   ├── RateLimitError             429
    │   │   ├── ServerError                5XX
    │   │   ├── UnexpectedResponseError    2XX or 3XX, but not a valid response
    │   │   └── StreamError                the server reported an error in mid-stream
    │   ├── ResponseValidationError        the response is invalid JSON or lacks required fields
    │   │   └── ResponseTooLargeError      the response exceeds the client's maximum size
    │   └── HTTPValidationError            kept for programs that import it; never raised here
    ├── NoResponseError                    no response, or an incomplete one
    │   └── NetworkError                   also a builtin ConnectionError
    │       ├── ConnectFailedError         the connection to server_url failed
    │       └── RequestTimeoutError        also a builtin TimeoutError
    │           ├── DeadlineExceededError  the call took longer than its deadline
    │           └── ResponseStalledError   no content for longer than stall_timeout
    ├── StreamIncompleteError              the stream ended before every choice had finished
    ├── AnswerNotParsedError               the answer does not match the requested format
    ├── ToolLoopError                      run_tools() reached its limit
    ├── ConfigurationError                 an environment variable is wrong (ValueError)
    ├── ClientClosedError                  the client was used after it was closed (RuntimeError)
    ├── NotCoveredError                    part of the API that this client lacks (AttributeError)
    └── NotCoveredImportError              name of the package that it lacks (ImportError)

`NetworkError` and its subclasses are in `_transport/network.py`, which combines them with the
classes of the HTTP library. Invalid arguments raise pydantic's ValidationError, or the builtin
TypeError and ValueError.

Messages, attributes and pickles of these errors never contain the token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from friendli._httpx import as_httpx
from friendli._text import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from friendli.models.completion import ContainerChatCompleteSuccess
    from friendli.models.validation import HTTPValidationErrorData

_SHOWN_BODY = 10_000
"""Maximum number of characters of a body that a message shows."""


class FriendliError(Exception):
    """Base class of all errors of this client."""


class FriendliCoreError(FriendliError):
    """Base class of errors with a response: one arrived, but not the expected one.

    Attributes:
        message: Message of the error, as `str()` returns it.
        status_code: HTTP status code, 100 to 599.
        body: Body of the response as text.
        headers: Headers of the response; names are case-insensitive.
        error: Object `error` of a JSON body, or the whole object if it has none; else None.
        code: `error["code"]`, or None.
        param: Name of the invalid request field, or None.
        request_id: Value of the header `x-request-id`, for reports to the endpoint's operator.
    """

    def __init__(self, message: str, raw_response: Any, body: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self._response = raw_response
        self.status_code: int = raw_response.status_code
        self.headers: Mapping[str, str] = raw_response.headers
        self.body: str = raw_response.text if body is None else body
        self.error: dict[str, Any] | None = parse_error(self.body)

    def __str__(self) -> str:
        return self.message

    @property
    def raw_response(self) -> Any:
        """Response of the HTTP client; None after unpickling.

        If the program has imported httpx, it is an `httpx.Response`.
        """
        self._response = as_httpx(self._response)
        return self._response

    @property
    def code(self) -> Any:
        """Error code of the server, or None."""
        return self.error.get("code") if self.error else None

    @property
    def param(self) -> Any:
        """Name of the invalid request field, or None."""
        return self.error.get("param") if self.error else None

    @property
    def request_id(self) -> str | None:
        """Value of the header `x-request-id`, or None."""
        return self.headers.get("x-request-id")

    def __reduce__(self) -> tuple[Any, ...]:
        # The response refers to the request, and the request holds the token.
        state = {**self.__dict__, "_response": None, "headers": dict(self.headers)}
        return _unpickle, (type(self), self.args, state)


class SDKError(FriendliCoreError):
    """Error status, or a response of the wrong kind."""

    hint: ClassVar[str] = ""


class BadRequestError(SDKError):
    """400: a field of the request is invalid; `param` names it."""


class AuthenticationError(SDKError):
    """401: the token is missing or wrong."""

    hint = "Check the token (token= or FRIENDLI_TOKEN)."


class PermissionDeniedError(SDKError):
    """403: the token may not use this endpoint."""

    hint = "Check that the token's team owns this endpoint (x_friendli_team=)."


class NotFoundError(SDKError):
    """404: the endpoint or the adapter is unknown, or server_url is wrong."""

    hint = "Check model= (the endpoint's id) and server_url=."


class RequestTooLargeError(SDKError):
    """413: the body of the request exceeds the server's limit."""


class UnprocessableEntityError(SDKError):
    """422: a field of the request is missing or has the wrong JSON type."""


class RateLimitError(SDKError):
    """429: too many requests, or the endpoint's queue is full."""

    hint = "Retry later, or allow more retries (retries=)."


class ServerError(SDKError):
    """5XX: the server failed, or is not ready."""

    hint = "Retry later."


class UnexpectedResponseError(SDKError):
    """Response without an error status, but not a valid one."""

    hint = "Check that server_url= is the URL of a Friendli endpoint."


class StreamError(SDKError):
    """Error that the server reported in mid-stream; `status_code` is that of the headers, 200."""


class ResponseValidationError(FriendliCoreError):
    """Invalid JSON, or a response without required fields; `body` is the invalid text."""

    def __init__(
        self, message: str, raw_response: Any, cause: Exception, body: str | None = None
    ) -> None:
        super().__init__(message, raw_response, body)
        self.__cause__: BaseException | None = cause

    @property
    def cause(self) -> BaseException | None:
        """Error of the validator."""
        return self.__cause__


class ResponseTooLargeError(ResponseValidationError):
    """A whole answer exceeds `max_response_bytes`, or an event `max_event_bytes`; `body` is empty.

    Sizes are measured after content decoding. The connection has been closed.
    """


class HTTPValidationError(FriendliCoreError):
    """Kept for programs that construct it; the status 422 raises UnprocessableEntityError.

    Attributes:
        data: The parsed body, with one entry per invalid field.
    """

    def __init__(
        self, data: HTTPValidationErrorData, raw_response: Any, body: str | None = None
    ) -> None:
        super().__init__(raw_response.text if body is None else body, raw_response, body)
        self.data = data


class NoResponseError(FriendliError):
    """No response arrived, or an incomplete one."""

    def __init__(self, message: str = "No response received") -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class StreamIncompleteError(FriendliError):
    """The stream ended before every choice had finished.

    Attributes:
        completion: Answer accumulated from the received events; None if there were none.
    """

    def __init__(
        self, message: str, completion: ContainerChatCompleteSuccess | None = None
    ) -> None:
        super().__init__(message)
        self.completion = completion


class AnswerNotParsedError(FriendliError):
    """The answer does not match the requested format, usually because it was cut off.

    Attributes:
        completion: The whole answer.
    """

    def __init__(self, message: str, completion: ContainerChatCompleteSuccess) -> None:
        super().__init__(message, completion)
        self.completion = completion

    def __str__(self) -> str:
        return str(self.args[0])


class ToolLoopError(FriendliError):
    """`run_tools()` reached its limit while the model still called functions.

    Attributes:
        messages: The conversation so far, as request messages.
    """

    def __init__(self, message: str, messages: list[Any]) -> None:
        super().__init__(message, messages)
        self.messages = messages

    def __str__(self) -> str:
        return str(self.args[0])


class ConfigurationError(FriendliError, ValueError):
    """An environment variable about connections (certificates, proxies) is wrong; names it."""


class ClientClosedError(FriendliError, RuntimeError):
    """The client was used after it was closed."""


class NotCoveredError(FriendliError, AttributeError):
    """Part of the published API that this client does not have."""


class NotCoveredImportError(FriendliError, ImportError):
    """Name of the published package that this client does not have."""


_BY_STATUS: dict[int, type[SDKError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    413: RequestTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def status_error(
    response: Any, body: str, where: str, cut: int | None = None, hint: str | None = None
) -> SDKError:
    """Build the error for a response with an error status, or of the wrong kind.

    Args:
        response: Response of the HTTP client.
        body: Its body as text.
        where: Method and URL, without secrets.
        cut: Size in bytes at which the body was cut; None: it is whole.
        hint: What to do about it; None: the hint of the class.
    """
    status: int = response.status_code
    if status < 400:
        kind: type[SDKError] = UnexpectedResponseError
    elif status < 500:
        kind = _BY_STATUS.get(status, SDKError)
    else:
        kind = ServerError
    prefix = "API error occurred" if status >= 400 else "Unexpected response received"
    hint = kind.hint if hint is None else hint
    if cut is not None:
        hint = f"The body was cut at {cut:,} bytes. {hint}".rstrip()
    if kind is ServerError and "x-request-id" in response.headers:
        hint += " Include the request id in a report."
    return kind(describe(prefix, response, body, where, hint), response, body)


def coding_error(response: Any, coding: str, where: str) -> UnexpectedResponseError:
    """Build the error for a response in a content coding that the HTTP client does not decode.

    Args:
        response: Response of the HTTP client.
        coding: The content coding.
        where: Method and URL, without secrets.
    """
    prefix = f"Unexpected response received: its content coding {coding!r} was not asked for"
    hint = "The server, or a proxy before it, must send a coding of the header accept-encoding."
    return UnexpectedResponseError(describe(prefix, response, "", where, hint), response, "")


def too_large_error(
    response: Any, what: str, option: str, max_bytes: int, where: str
) -> ResponseTooLargeError:
    """Build the error for a response that exceeds a maximum size.

    Args:
        response: Response of the HTTP client.
        what: Part of the response that is too large.
        option: Option of the client with the maximum.
        max_bytes: The maximum, in bytes.
        where: Method and URL, without secrets.
    """
    reason = f"{what} exceeds the client's `{option}` of {max_bytes:,} bytes"
    message = describe(f"Response validation failed: {reason}", response, "", where)
    return ResponseTooLargeError(message, response, ValueError(reason), "")


def describe(prefix: str, response: Any, body: str, where: str, hint: str = "") -> str:
    """Compose a message of two lines: the error; then method, URL, request id and hint."""
    content_type = response.headers.get("content-type", "")
    message = f"{prefix}: Status {response.status_code}"
    if content_type != "application/json":
        shown = f'"{content_type}"' if " " in content_type or not content_type else content_type
        message += f" Content-Type {shown}"
    rest = len(body) - _SHOWN_BODY
    message += (
        f". Body: {body}" if rest <= 0 else f". Body: {body[:_SHOWN_BODY]}...and {rest} more chars"
    )
    request_id = response.headers.get("x-request-id")
    message += f"\n{where}" + (f" (request id {request_id})" if request_id else "")
    return f"{message}. {hint}" if hint else message


def parse_error(body: str) -> dict[str, Any] | None:
    """Return the error object of a body, or None."""
    parsed = parse_json(body)
    if not isinstance(parsed, dict):
        return None
    error = parsed.get("error", parsed)
    return error if isinstance(error, dict) else {"message": error}


def _unpickle(kind: type[Exception], args: tuple[Any, ...], state: dict[str, Any]) -> Exception:
    error = kind.__new__(kind, *args)
    error.args = args
    headers = state.get("headers")
    if headers is not None:
        state = {**state, "headers": CaseInsensitive(headers)}
    error.__dict__.update(state)
    return error


class CaseInsensitive(dict[str, str]):
    """Case-insensitive headers of an unpickled error."""

    def __init__(self, items: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in items.items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a header, or `default`."""
        return super().get(name.lower(), default)
