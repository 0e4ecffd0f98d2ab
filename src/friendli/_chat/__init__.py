"""`dedicated.chat`: the methods `complete`, `stream` and `run_tools`, sync and async.

This package has signatures only: `_transport/request.py` builds the request and reads the response,
`_transport/flow.py` decides how it is sent.
"""

from __future__ import annotations

from friendli._chat.asynchronous import AsyncChat
from friendli._chat.raw import AsyncRawChat, SyncRawChat
from friendli._chat.sync import SyncChat

__all__ = ["AsyncChat", "AsyncRawChat", "SyncChat", "SyncRawChat"]
