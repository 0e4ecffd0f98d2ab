"""Older import path of the stream classes."""

from __future__ import annotations

from friendli._compat.names import ServerEvent
from friendli._streaming.stream import EventStream, EventStreamAsync

__all__ = ["EventStream", "EventStreamAsync", "ServerEvent"]
