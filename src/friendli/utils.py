"""`friendli.utils`: the import path of the retry configuration."""

from __future__ import annotations

from friendli._retry import BackoffStrategy, RetryConfig
from friendli._stream import EventStream, EventStreamAsync

__all__ = ["BackoffStrategy", "EventStream", "EventStreamAsync", "RetryConfig"]
