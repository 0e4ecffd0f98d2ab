"""Import path that programs use for hooks; `types` and `sdkhooks` in it are other names of it."""

from __future__ import annotations

import sys

from friendli._transport.hooks import (
    AfterErrorContext,
    AfterErrorHook,
    AfterSuccessContext,
    AfterSuccessHook,
    BeforeRequestContext,
    BeforeRequestHook,
    HookContext,
    SDKHooks,
    SDKInitHook,
)

Hooks = SDKHooks

__all__ = [
    "AfterErrorContext",
    "AfterErrorHook",
    "AfterSuccessContext",
    "AfterSuccessHook",
    "BeforeRequestContext",
    "BeforeRequestHook",
    "HookContext",
    "Hooks",
    "SDKHooks",
    "SDKInitHook",
]

for _module in ("sdkhooks", "types"):
    sys.modules[f"{__name__}.{_module}"] = sys.modules[__name__]
