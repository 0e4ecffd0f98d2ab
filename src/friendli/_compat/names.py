"""Classes and constants that programs for the published client name, and nothing here uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from friendli._transport.options import DEFAULT_URL

SERVERS: Final = [DEFAULT_URL]
OPENAPI_DOC_VERSION: Final = "0.1.0"


@dataclass
class ServerEvent:
    """The fields of a server-sent event.

    Kept for programs that name it: streams of chat yield `ContainerChatCompletionStreamSuccess`.
    """

    id: str | None = None
    event: str | None = None
    data: str | None = None
    retry: int | None = None


class Logger(Protocol):
    """Type of `debug_logger=`."""

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Note a message, to be filled with `args` by `%`."""
