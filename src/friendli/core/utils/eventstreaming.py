"""The stream classes under their older path."""

from __future__ import annotations

from friendli._stream import EventStream, EventStreamAsync

__all__ = ["EventStream", "EventStreamAsync"]
