"""Mocks of HTTP libraries.

Programs for the published client test themselves with respx, pytest-httpx or a patched
`httpx.Client.send`. This client sends through httpx2, so their calls would go to the network, with
the token. Mocks and instrumentation of httpx2, on the other hand, see them, if they go through its
own transports.
"""

from __future__ import annotations

import sys
from types import FunctionType
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

_OF_TRANSPORTS: Final = (
    ("httpx2", "HTTPTransport", "handle_request"),
    ("httpx2", "AsyncHTTPTransport", "handle_async_request"),
    ("httpcore2", "ConnectionPool", "handle_request"),
    ("httpcore2", "AsyncConnectionPool", "handle_async_request"),
)
"""Methods of httpx2's own transports that mocks and instrumentation replace."""

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


def is_transport_replaced() -> bool:
    """Return whether a method of httpx2's own transports is replaced; nothing is imported for it.

    A wrapper may claim the name and the module of what it wraps, but it is not a function of that
    module.
    """
    for module, owner, name in _OF_TRANSPORTS:
        method = vars(getattr(sys.modules.get(module), owner, object)).get(name)
        if method is not None and not (
            isinstance(method, FunctionType)
            and str(method.__globals__.get("__name__")).startswith(f"{module}.")
        ):
            return True
    return False
