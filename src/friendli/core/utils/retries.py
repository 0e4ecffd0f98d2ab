"""The retry configuration under its older path."""

from __future__ import annotations

from friendli._transport.retry import BackoffStrategy, RetryConfig

__all__ = ["BackoffStrategy", "RetryConfig"]
