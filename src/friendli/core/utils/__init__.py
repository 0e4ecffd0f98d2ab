"""Older import path of `friendli.utils`."""

from __future__ import annotations

from typing import Any

from friendli import utils
from friendli.utils import BackoffStrategy, Logger, RetryConfig

__all__ = ["BackoffStrategy", "Logger", "RetryConfig"]


def __getattr__(name: str) -> Any:
    return getattr(utils, name)
