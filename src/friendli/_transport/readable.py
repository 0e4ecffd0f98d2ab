"""Whether a socket has something to read."""

from __future__ import annotations

import select
from typing import Any


def is_readable(sock: Any) -> bool:
    """Return whether bytes, or the end of the connection, wait in the system.

    Args:
        sock: Socket, or None. A closed one is readable.
    """
    if sock is None or sock.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # Windows, where select() has no maximum descriptor
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))
