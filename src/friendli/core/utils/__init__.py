"""`friendli.utils` under its older path."""

from __future__ import annotations

from friendli.utils import BackoffStrategy, RetryConfig

__all__ = ["BackoffStrategy", "RetryConfig"]
