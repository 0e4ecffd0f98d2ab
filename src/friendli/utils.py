"""`friendli.utils`: import path of the retry configuration."""

from __future__ import annotations

from typing import Any

from friendli._compat.names import Logger
from friendli._streaming.stream import EventStream, EventStreamAsync
from friendli._transport.retry import BackoffStrategy, RetryConfig

__all__ = ["BackoffStrategy", "EventStream", "EventStreamAsync", "Logger", "RetryConfig"]


def __getattr__(name: str) -> Any:
    from friendli._compat.absent import absent

    raise absent(__name__, name)
