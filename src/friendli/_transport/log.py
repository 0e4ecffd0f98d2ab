"""Lines that the client writes to Python's logging: one for each step of an exchange.

Logger `friendli`, level DEBUG. Neither the token nor the bodies are ever logged: a prompt is the
user's own. `FRIENDLI_LOG=debug` (or info, warning, error) writes the lines to stderr.
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
    """Let FRIENDLI_LOG take effect; does nothing where the variable is not set."""
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
    """The lines of one exchange."""

    __slots__ = ("_call", "_start", "_target")

    def __init__(self, call: Any, target: Any) -> None:
        self._call = call
        self._target = target
        self._start = time.monotonic()

    def sending(self, retry: int) -> None:
        """An attempt begins."""
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
        """Headers have come."""
        self._target.debug(
            "%s answered %d after %.0f ms, request id %s",
            self._call.where,
            response.status_code,
            (time.monotonic() - self._start) * 1000,
            response.headers.get("x-request-id"),
        )

    def failed(self, error: Exception, wait: float | None) -> None:
        """An attempt failed without an answer."""
        self._target.debug("%s; %s", error, _next(wait))

    def retrying(self, status: int, wait: float) -> None:
        """An answer will be tried again."""
        self._target.debug("%s status %d; %s", self._call.where, status, _next(wait))


def exchange_log(call: Any) -> ExchangeLog | None:
    """Give the log of an exchange, or None where nobody listens."""
    if call.debug_logger is not None:
        return ExchangeLog(call, call.debug_logger)
    return ExchangeLog(call, logger) if logger.isEnabledFor(logging.DEBUG) else None


def _next(wait: float | None) -> str:
    return "giving up" if wait is None else f"again in {wait:.3f} s"
