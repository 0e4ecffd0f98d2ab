"""The errors of the client.

    FriendliError                          everything this client raises on its own account
    ├── FriendliCoreError                  an answer came, and it is not what was asked for
    │   ├── SDKError                       a status error, or an answer of the wrong kind
    │   │   ├── BadRequestError            400
    │   │   ├── AuthenticationError        401
    │   │   ├── PermissionDeniedError      403
    │   │   ├── NotFoundError              404: unknown endpoint or adapter, or a wrong server_url
    │   │   ├── RequestTooLargeError       413
    │   │   ├── UnprocessableEntityError   422
    │   │   ├── RateLimitError             429
    │   │   ├── ServerError                5XX
    │   │   ├── UnexpectedResponseError    2XX or 3XX of the wrong kind
    │   │   └── StreamError                the server reported an error in mid-stream
    │   ├── ResponseValidationError        the answer's JSON is broken or misses required fields
    │   └── HTTPValidationError            kept for programs that import it; never raised here
    ├── NoResponseError                    no answer, or not all of it
    │   └── NetworkError                   also a builtin ConnectionError
    │       ├── ConnectFailedError         nobody answered at server_url
    │       └── RequestTimeoutError        also a builtin TimeoutError
    ├── StreamIncompleteError              the stream ended before every choice had finished
    ├── AnswerNotParsedError               the answer does not fit the requested format
    ├── ToolLoopError                      run_tools() reached its limit
    ├── ClientClosedError                  the client was used after it was closed (RuntimeError)
    ├── NotCoveredError                    a part of the API this client lacks (AttributeError)
    └── NotCoveredImportError              a name of the package it lacks (ImportError)

`NetworkError` and its children are in `_transport/network.py`, which joins them with the classes
of the HTTP library. Wrong arguments raise pydantic's ValidationError, or builtin TypeError and
ValueError.

No message, attribute or pickle of these errors holds the token.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from friendli.models.completion import ContainerChatCompleteSuccess
    from friendli.models.validation import HTTPValidationErrorData

_SHOWN_BODY = 10_000
"""Characters of a body that a message shows."""


class FriendliError(Exception):
    """Base of everything this client raises on its own account."""


class FriendliCoreError(FriendliError):
    """An answer came, and it is not what was asked for.

    Attributes:
        message: What `str()` gives.
        status_code: HTTP status, 100..599.
        body: The answer's body as text.
        headers: The answer's headers, case-insensitive.
        raw_response: The transport's response; None once unpickled.
        error: The body's `error` object (or the whole object where it has none), if it is JSON.
        code: `error["code"]`, if any.
        param: The request field that the server objects to, if it names one.
        request_id: The server's `x-request-id`, for reports to whoever runs the endpoint.
    """

    def __init__(self, message: str, raw_response: Any, body: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.raw_response = raw_response
        self.status_code: int = raw_response.status_code
        self.headers: Mapping[str, str] = raw_response.headers
        self.body: str = raw_response.text if body is None else body
        self.error: dict[str, Any] | None = parse_error(self.body)

    def __str__(self) -> str:
        return self.message

    @property
    def code(self) -> Any:
        """The server's own code of the error, or None."""
        return self.error.get("code") if self.error else None

    @property
    def param(self) -> Any:
        """The request field that the server objects to, or None."""
        return self.error.get("param") if self.error else None

    @property
    def request_id(self) -> str | None:
        """The server's `x-request-id`, or None."""
        return self.headers.get("x-request-id")

    def __reduce__(self) -> tuple[Any, ...]:
        # The response refers to the request, and the request holds the token.
        state = {**self.__dict__, "raw_response": None, "headers": dict(self.headers)}
        return _unpickle, (type(self), self.args, state)


class SDKError(FriendliCoreError):
    """A status error, or an answer of the wrong kind."""

    hint: ClassVar[str] = ""


class BadRequestError(SDKError):
    """400: a rule of the request is broken; `param` names the field."""


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
    """413: the request's body is larger than the server takes."""


class UnprocessableEntityError(SDKError):
    """422: a field of the request is missing or has the wrong JSON type."""


class RateLimitError(SDKError):
    """429: too many requests, or the endpoint's queue is full."""

    hint = "Retry later, or allow more retries (retries=)."


class ServerError(SDKError):
    """5XX: the server failed, or is not ready."""

    hint = "Retry later; give the request id when you report it."


class UnexpectedResponseError(SDKError):
    """An answer without an error status that is not what was asked for."""

    hint = "Check that server_url= leads to a Friendli endpoint."


class StreamError(SDKError):
    """The server reported an error in mid-stream. `status_code` is still that of the headers."""


class ResponseValidationError(FriendliCoreError):
    """The answer's JSON is broken, or misses required fields; `body` is the offending text."""

    def __init__(
        self, message: str, raw_response: Any, cause: Exception, body: str | None = None
    ) -> None:
        super().__init__(message, raw_response, body)
        self.__cause__: BaseException | None = cause

    @property
    def cause(self) -> BaseException | None:
        """The validator's own error."""
        return self.__cause__


class HTTPValidationError(FriendliCoreError):
    """Kept for programs that import it: this operation answers 422 with an SDKError."""

    @property
    def data(self) -> HTTPValidationErrorData:
        """The body, which has an entry for each wrong field.

        Raises:
            pydantic.ValidationError: The body is not of that shape.
        """
        from friendli.models.validation import HTTPValidationErrorData

        return HTTPValidationErrorData.model_validate_json(self.body)


class NoResponseError(FriendliError):
    """No answer came, or not all of it."""

    def __init__(self, message: str = "No response received") -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class StreamIncompleteError(FriendliError):
    """The stream ended before every choice had finished.

    Attributes:
        completion: The answer as far as it came, or None where no event came.
    """

    def __init__(
        self, message: str, completion: ContainerChatCompleteSuccess | None = None
    ) -> None:
        super().__init__(message)
        self.completion = completion


class AnswerNotParsedError(FriendliError):
    """The answer does not fit the requested format, mostly because it was cut off.

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


class ClientClosedError(FriendliError, RuntimeError):
    """The client was used after it was closed."""


class NotCoveredError(FriendliError, AttributeError):
    """A part of the published API that this client does not have."""


class NotCoveredImportError(FriendliError, ImportError):
    """A name of the published package that this client does not have."""


_BY_STATUS: dict[int, type[SDKError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    413: RequestTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def status_error(response: Any, body: str, where: str) -> SDKError:
    """Build the error for an answer that is not a success, or not of the kind asked for.

    Args:
        response: The transport's response.
        body: Its body as text.
        where: Method and URL, without secrets.
    """
    status: int = response.status_code
    if status < 400:
        kind: type[SDKError] = UnexpectedResponseError
    elif status < 500:
        kind = _BY_STATUS.get(status, SDKError)
    else:
        kind = ServerError
    prefix = "API error occurred" if status >= 400 else "Unexpected response received"
    return kind(describe(prefix, response, body, where, kind.hint), response, body)


def describe(prefix: str, response: Any, body: str, where: str, hint: str = "") -> str:
    """Compose a message: what happened, and on the next line where and what to do."""
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
    """Find the error object in a body; None where there is none."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
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
    """Headers of an unpickled error: looked up whatever their case."""

    def __init__(self, items: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in items.items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Give a header's value, or `default`."""
        return super().get(name.lower(), default)
