"""Mocks of httpx that do not see the calls of this client.

Programs for the published client test themselves with respx, pytest-httpx or a patched
`httpx.Client.send`. This client sends through httpx2, so their calls would go to the network, with
the token.
"""

from __future__ import annotations

import sys
from typing import Final

from friendli._transport.log import logger

_PATCHED: Final = (
    ("httpx", "Client", "send"),
    ("httpx", "AsyncClient", "send"),
    ("httpx", "HTTPTransport", "handle_request"),
    ("httpx", "AsyncHTTPTransport", "handle_async_request"),
    ("httpcore", "ConnectionPool", "handle_request"),
    ("httpcore", "AsyncConnectionPool", "handle_async_request"),
)
"""Methods that mocks replace: module, class, name."""

_state = {"warned": False}


def warn_of_mocks() -> None:
    """Log one warning if a mock of httpx is active; nothing is imported for it."""
    if _state["warned"] or "httpx" not in sys.modules:
        return
    for module, owner, name in _PATCHED:
        method = getattr(getattr(sys.modules.get(module), owner, None), name, None)
        if method is not None and not str(getattr(method, "__module__", "")).startswith(module):
            _state["warned"] = True
            logger.warning(
                "a mock replaces %s.%s.%s, but this client sends through httpx2, past the mock; "
                "to use it, pass SyncFriendli(client=httpx.Client()) or "
                "AsyncFriendli(async_client=httpx.AsyncClient())",
                module,
                owner,
                name,
            )
            return
