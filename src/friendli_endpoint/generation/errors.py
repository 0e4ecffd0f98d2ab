"""Errors that cross the tag_masks between the parts of the endpoint."""

from collections.abc import Collection

__all__ = ["EngineError", "RequestError", "StartError", "unknown_adapter"]


class RequestError(Exception):
    """A request that is not served, and why.

    Args:
        message: A sentence for the client: what is wrong and what is allowed.
        param: The field at fault, as a path such as `messages[0].content`, if there is one.
        status: The HTTP status that says the same, 4xx or 503.
        code: A short machine-readable word.
        retry_after: Seconds after which the same request may succeed, if that is so.
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
    """An engine cannot finish a request that it had accepted.

    Args:
        message: A sentence for the client.
        retryable: Whether the same request may be finished by another engine, or by this one later.
    """

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable


class StartError(Exception):
    """The endpoint cannot start; the message says why in a sentence."""


def unknown_adapter(route: str, routes: Collection[str]) -> RequestError:
    """The refusal of a route that does not exist.

    Args:
        route: The route that was asked for.
        routes: Those that exist.
    """
    there_are = "there are: " + ", ".join(sorted(routes)) if routes else "there are none"
    return RequestError(
        f"there is no adapter {route!r}; {there_are}",
        param="model",
        status=404,
        code="adapter_not_found",
    )
