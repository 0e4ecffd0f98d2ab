"""Older import path of the retry configuration."""

from __future__ import annotations

from friendli._transport.retry import BackoffStrategy, RetryConfig

__all__ = ["BackoffStrategy", "RetryConfig"]
