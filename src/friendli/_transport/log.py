"""Log lines of the client, one per step of an exchange.

The logger is `friendli`, the level DEBUG. Tokens and bodies are never logged, because prompts are
private. `FRIENDLI_LOG=debug` (or info, warning, error) writes the lines to stderr. FRIENDLI_DEBUG,
a variable of the published client, sets up logging as a whole, and the logger is `friendli_core`.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from friendli._transport.secret import masked

logger = logging.getLogger("friendli")
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure_from_environment() -> None:
    """Configure logging from FRIENDLI_LOG and FRIENDLI_DEBUG, if the variables are set."""
    if os.environ.get("FRIENDLI_DEBUG"):
        logging.basicConfig(level=logging.DEBUG)
    level = _LEVELS.get(os.environ.get("FRIENDLI_LOG", "").strip().lower())
    if level is None:
        return
    logger.setLevel(level)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False


class ExchangeLog:
    """Log of one exchange."""

    __slots__ = ("_call", "_start", "_target")

    def __init__(self, call: Any, target: Any) -> None:
        self._call = call
        self._target = target
        self._start = time.monotonic()

    def sending(self, retry: int) -> None:
        """Log the start of an attempt."""
        call = self._call
        self._target.debug(
            "%s attempt %d, %d bytes, stream=%s, headers %s",
            call.where,
            retry + 1,
            len(call.content),
            call.stream,
            masked(call.headers),
        )
        self._start = time.monotonic()

    def answered(self, response: Any) -> None:
        """Log the arrival of the response headers."""
        self._target.debug(
            "%s answered %d after %.0f ms, request id %s",
            self._call.where,
            response.status_code,
            (time.monotonic() - self._start) * 1000,
            response.headers.get("x-request-id"),
        )

    def failed(self, error: Exception, wait: float | None) -> None:
        """Log an attempt that failed without a response."""
        self._target.debug("%s; %s", error, _next(wait))

    def retrying(self, status: int, wait: float) -> None:
        """Log a retry after an error status."""
        self._target.debug("%s status %d; %s", self._call.where, status, _next(wait))


def exchange_log(call: Any) -> ExchangeLog | None:
    """Return the log of an exchange, or None if DEBUG logging is off."""
    if call.debug_logger is not None:
        return ExchangeLog(call, call.debug_logger)
    target = logging.getLogger("friendli_core") if os.environ.get("FRIENDLI_DEBUG") else logger
    return ExchangeLog(call, target) if target.isEnabledFor(logging.DEBUG) else None


def _next(wait: float | None) -> str:
    return "giving up" if wait is None else f"retrying in {wait:.3f} s"
