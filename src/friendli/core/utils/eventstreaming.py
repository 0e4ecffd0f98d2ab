"""The stream classes under their older path."""

from __future__ import annotations

from dataclasses import dataclass

from friendli._stream import EventStream, EventStreamAsync

__all__ = ["EventStream", "EventStreamAsync", "ServerEvent"]


@dataclass
class ServerEvent:
    """The fields of a server-sent event.

    Kept for programs that name it: streams of chat yield `ContainerChatCompletionStreamSuccess`.
    """

    id: str | None = None
    event: str | None = None
    data: str | None = None
    retry: int | None = None
