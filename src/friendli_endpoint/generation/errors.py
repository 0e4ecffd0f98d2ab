"""Errors that one part of the endpoint raises and another part handles."""

from collections.abc import Collection

__all__ = [
    "EngineError",
    "RequestError",
    "StartError",
    "draining_error",
    "reason_of",
    "unknown_adapter",
]


class RequestError(Exception):
    """Rejection of a request.

    Args:
        message: A sentence for the client: what is wrong and what is allowed.
        param: The invalid field, as a path such as `messages[0].content`, or None.
        status: The HTTP status of the response, 4xx or 5xx.
        code: A short machine-readable word, or None.
        retry_after: Seconds after which the same request may succeed, or None if it never will.
    """

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        status: int = 400,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status
        self.code = code
        self.retry_after = retry_after


class EngineError(Exception):
    """Failure of a request that an engine had begun or queued.

    Args:
        message: A sentence for the client.
        retryable: Whether another engine, or this one later, may be able to finish the request.
        is_closing: Whether the engine is closing, rather than broken: a 503, not a 500.
    """

    def __init__(self, message: str, *, retryable: bool = True, is_closing: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable
        self.is_closing = is_closing


class StartError(Exception):
    """Failure to start the endpoint; the message states the reason in a sentence."""


def draining_error() -> RequestError:
    """Returns the error of every request that the endpoint cannot serve because it shuts down."""
    return RequestError("the endpoint is shutting down", status=503, code="draining", retry_after=1)


def reason_of(error: BaseException) -> str:
    """Returns the message of an exception, or its type if it has none, as a MemoryError."""
    return str(error) or type(error).__name__


def unknown_adapter(route: str, routes: Collection[str]) -> RequestError:
    """Returns the error for a route without an adapter.

    Args:
        route: The requested route.
        routes: The routes of all loaded adapters.
    """
    loaded = f"available: {', '.join(sorted(routes))}" if routes else "no adapters are loaded"
    return RequestError(
        f"there is no adapter {route!r}; {loaded}",
        param="model",
        status=404,
        code="adapter_not_found",
    )
