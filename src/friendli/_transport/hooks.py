"""Hooks: callbacks of the program on requests, responses and errors.

    hooks = client.core.sdk_configuration.__dict__["_hooks"]
    hooks.register_before_request_hook(AddHeader())

`before_request` runs before every attempt; `after_success` and `after_error` run once per call, on
the final response or error. Hooks of one kind run in the order of their registration, each on the
result of the previous one; in async programs in a worker thread. An exception that a hook returns
or raises ends the call, unchanged and without a retry. The clients that `with_options()` returns
share the hooks of the original.

Requests and responses are the objects of the HTTP client.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from friendli._transport.retry import RetryOption
from friendli._transport.secret import Token


@dataclass(frozen=True)
class SDKConfiguration:
    """Configuration of a client, as hooks see it; `with_options()` changes it."""

    server_url: str
    timeout_ms: float | None
    retry_config: RetryOption
    debug_logger: Any
    _hooks: SDKHooks = field(repr=False)
    server_idx: int = 0


@dataclass(frozen=True)
class HookContext:
    """Context of the call that a hook runs for.

    Attributes:
        config: Configuration of the client.
        base_url: Base URL of the server of this call.
        operation_id: "dedicatedChatComplete" or "dedicatedChatStream", by the method called.
        oauth2_scopes: Always empty.
        security_source: Wrapper of the token, shown as `***`.
    """

    config: SDKConfiguration
    base_url: str
    operation_id: str
    oauth2_scopes: list[str]
    security_source: Token


BeforeRequestContext: TypeAlias = HookContext
AfterSuccessContext: TypeAlias = HookContext
AfterErrorContext: TypeAlias = HookContext


class SDKInitHook(ABC):
    """Kept for programs that import it; hooks are registered after the client exists."""

    @abstractmethod
    def sdk_init(self, config: Any) -> Any:
        """Never called."""


class BeforeRequestHook(ABC):
    """Hook that may change or replace a request."""

    @abstractmethod
    def before_request(self, hook_ctx: HookContext, request: Any) -> Any:
        """Return the request to send, or an exception to raise.

        Args:
            hook_ctx: Context of the call.
            request: Request of this attempt, built by the HTTP client; may be changed in place.
        """


class AfterSuccessHook(ABC):
    """Hook that may replace the response of a success; the body of a stream is unread."""

    @abstractmethod
    def after_success(self, hook_ctx: HookContext, response: Any) -> Any:
        """Return the response to continue with, or an exception to raise."""


class AfterErrorHook(ABC):
    """Hook that may replace a failure that is not retried."""

    @abstractmethod
    def after_error(
        self, hook_ctx: HookContext, response: Any, error: Exception | None
    ) -> tuple[Any, Exception | None] | Exception:
        """Return the response and the error to continue with, or an exception to raise.

        Args:
            hook_ctx: Context of the call.
            response: Response that is not a success, with its body read; None if none arrived.
            error: The `NetworkError` if no response arrived; else None.
        """


class SDKHooks:
    """Hooks of a client; a registration affects calls that begin afterwards."""

    def __init__(self) -> None:
        self.before_request_hooks: list[BeforeRequestHook] = []
        self.after_success_hooks: list[AfterSuccessHook] = []
        self.after_error_hooks: list[AfterErrorHook] = []
        self.registered: bool = False

    def register_sdk_init_hook(self, hook: SDKInitHook) -> None:
        """Accept a hook that never runs, because the client already exists."""

    def register_before_request_hook(self, hook: BeforeRequestHook) -> None:
        """Register a hook to run before each attempt."""
        self.before_request_hooks.append(hook)
        self.registered = True

    def register_after_success_hook(self, hook: AfterSuccessHook) -> None:
        """Register a hook to run on the responses of successes."""
        self.after_success_hooks.append(hook)
        self.registered = True

    def register_after_error_hook(self, hook: AfterErrorHook) -> None:
        """Register a hook to run on failures."""
        self.after_error_hooks.append(hook)
        self.registered = True


class CallHooks:
    """Runs the hooks of a client for one call."""

    __slots__ = ("_context", "_hooks")

    def __init__(self, hooks: SDKHooks, context: HookContext) -> None:
        self._hooks = hooks
        self._context = context

    def before_request(self, request: Any) -> Any:
        """Return the request to send.

        Raises:
            Exception: Any exception that a hook returned or raised.
        """
        for hook in list(self._hooks.before_request_hooks):
            request = _call_hook(hook.before_request, self._context, request)
        return request

    def after_success(self, response: Any) -> Any:
        """Return the response to continue with.

        Raises:
            Exception: Any exception that a hook returned or raised.
        """
        for hook in list(self._hooks.after_success_hooks):
            response = _call_hook(hook.after_success, self._context, response)
        return response

    def after_error(self, response: Any, error: Exception | None) -> tuple[Any, Exception | None]:
        """Return the response and the error to continue with; one of them is None.

        Raises:
            Exception: Any exception that a hook returned or raised.
        """
        for hook in list(self._hooks.after_error_hooks):
            response, error = _call_hook(hook.after_error, self._context, response, error)
        return response, error


def _call_hook(hook: Callable[..., Any], *arguments: Any) -> Any:
    result = hook(*arguments)
    if isinstance(result, Exception):
        raise result
    if result is None:
        raise TypeError(f"the hook {hook.__qualname__} returned None")
    return result
