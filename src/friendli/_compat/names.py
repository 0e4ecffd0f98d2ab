"""Classes and constants for programs for the published client; unused by this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from friendli._transport.options import DEFAULT_URL

SERVERS: Final = [DEFAULT_URL]
OPENAPI_DOC_VERSION: Final = "0.1.0"


@dataclass
class ServerEvent:
    """Fields of a server-sent event.

    Kept for programs that import it; chat streams yield `ContainerChatCompletionStreamSuccess`.
    """

    id: str | None = None
    event: str | None = None
    data: str | None = None
    retry: int | None = None


class Logger(Protocol):
    """Protocol of `debug_logger=`."""

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log a message, formatted with `args` by `%`."""
