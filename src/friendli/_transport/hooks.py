"""Hooks: code of the program that sees requests before they leave, and what came of them.

    hooks = client.core.sdk_configuration.__dict__["_hooks"]
    hooks.register_before_request_hook(AddHeader())

`before_request` runs on every attempt, `after_success` and `after_error` once a call, on what
would otherwise be returned or raised. Hooks of one kind run in the order of their registration,
each on what the one before it gave; in async programs in a worker thread. An exception that a hook
returns or raises ends the call, unchanged and without a retry. Clients that `with_options()` gives
share the hooks of the original.

Knows requests and responses as what the HTTP client makes of them, and nothing about sending.
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
    """Configuration of a client, as hooks see it; `with_options()` is how to change it."""

    server_url: str
    timeout_ms: float | None
    retry_config: RetryOption
    debug_logger: Any
    _hooks: SDKHooks = field(repr=False)
    server_idx: int = 0


@dataclass(frozen=True)
class HookContext:
    """The call that a hook is run for.

    Attributes:
        config: The client's configuration.
        base_url: The server of this call.
        operation_id: "dedicatedChatComplete" or "dedicatedChatStream", by the method called.
        oauth2_scopes: Always empty.
        security_source: Holds the token, and shows it as `***`.
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
    """Kept for programs that import it: a hook is registered when its client already exists."""

    @abstractmethod
    def sdk_init(self, config: Any) -> Any:
        """Never called."""


class BeforeRequestHook(ABC):
    """Sees, and may change or replace, what is sent."""

    @abstractmethod
    def before_request(self, hook_ctx: HookContext, request: Any) -> Any:
        """Give the request to send, or an exception to raise."""


class AfterSuccessHook(ABC):
    """Sees, and may replace, the response of a success; that of a stream is unread."""

    @abstractmethod
    def after_success(self, hook_ctx: HookContext, response: Any) -> Any:
        """Give the response to go on with, or an exception to raise."""


class AfterErrorHook(ABC):
    """Sees, and may replace, a failure that is not tried again."""

    @abstractmethod
    def after_error(
        self, hook_ctx: HookContext, response: Any, error: Exception | None
    ) -> tuple[Any, Exception | None] | Exception:
        """Give the response and the error to go on with, or an exception to raise.

        Args:
            hook_ctx: The call.
            response: An answer that is not a success, its body read; None where no answer came.
            error: Why no answer came; None where one came.
        """


class SDKHooks:
    """The hooks of a client. Registering affects calls that begin afterwards."""

    def __init__(self) -> None:
        self.before_request_hooks: list[BeforeRequestHook] = []
        self.after_success_hooks: list[AfterSuccessHook] = []
        self.after_error_hooks: list[AfterErrorHook] = []
        self.registered: bool = False

    def register_sdk_init_hook(self, hook: SDKInitHook) -> None:
        """Accept a hook that comes too late to run: the client exists."""

    def register_before_request_hook(self, hook: BeforeRequestHook) -> None:
        """Run a hook before each attempt."""
        self.before_request_hooks.append(hook)
        self.registered = True

    def register_after_success_hook(self, hook: AfterSuccessHook) -> None:
        """Run a hook on the responses of successes."""
        self.after_success_hooks.append(hook)
        self.registered = True

    def register_after_error_hook(self, hook: AfterErrorHook) -> None:
        """Run a hook on failures."""
        self.after_error_hooks.append(hook)
        self.registered = True


class CallHooks:
    """The hooks of a client, run for one call."""

    __slots__ = ("_context", "_hooks")

    def __init__(self, hooks: SDKHooks, context: HookContext) -> None:
        self._hooks = hooks
        self._context = context

    def before_request(self, request: Any) -> Any:
        """Give the request to send.

        Raises:
            Exception: What a hook returned or raised.
        """
        for hook in list(self._hooks.before_request_hooks):
            request = _given(hook.before_request, self._context, request)
        return request

    def after_success(self, response: Any) -> Any:
        """Give the response to go on with.

        Raises:
            Exception: What a hook returned or raised.
        """
        for hook in list(self._hooks.after_success_hooks):
            response = _given(hook.after_success, self._context, response)
        return response

    def after_error(self, response: Any, error: Exception | None) -> tuple[Any, Exception | None]:
        """Give the response and the error to go on with, one of them None.

        Raises:
            Exception: What a hook returned or raised.
        """
        for hook in list(self._hooks.after_error_hooks):
            response, error = _given(hook.after_error, self._context, response, error)
        return response, error


def _given(hook: Callable[..., Any], *arguments: Any) -> Any:
    result = hook(*arguments)
    if isinstance(result, Exception):
        raise result
    if result is None:
        raise TypeError(f"the hook {hook.__qualname__} returned None")
    return result
