"""Connecting to a host that may have several addresses, in asyncio.

An attempt that is not done after 250 ms is joined by one to the next address, as in RFC 8305
("Happy Eyeballs"): a network that drops the packets of one address does not use up the timeout.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final, TypeVar

P = TypeVar("P", bound=asyncio.Protocol)

_DELAY_SECONDS: Final = 0.25


async def connect_first(protocol: Callable[[], P], host: str, port: int) -> P:
    """Return the protocol of a connection to the first address of a host that accepts.

    Args:
        protocol: Factory of protocols.
        host: Host name or IP address.
        port: TCP port.

    Raises:
        OSError: The host is unknown, or no address accepts.
    """
    loop = asyncio.get_running_loop()

    async def connect(address: str) -> tuple[asyncio.BaseTransport, P]:
        return await loop.create_connection(protocol, address, port)

    waiting = await _addresses(host, port)
    attempts: list[asyncio.Task[tuple[asyncio.BaseTransport, P]]] = []
    connected = None
    try:
        while connected is None:
            running = [attempt for attempt in attempts if not attempt.done()]
            if waiting:
                running.append(asyncio.create_task(connect(waiting.pop(0))))
                attempts.append(running[-1])
            elif not running:
                raise _failed([error for task in attempts if (error := task.exception())])
            await asyncio.wait(
                running,
                timeout=_DELAY_SECONDS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            connected = next((task for task in attempts if _is_connected(task)), None)
        return connected.result()[1]
    finally:
        for attempt in attempts:
            if attempt is not connected:
                await _give_up(attempt)


def _is_connected(attempt: asyncio.Task[tuple[asyncio.BaseTransport, P]]) -> bool:
    return attempt.done() and not attempt.cancelled() and attempt.exception() is None


async def _addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host, one of IPv6 and one of IPv4 first."""
    try:
        return [ip_address(host).compressed]
    except ValueError:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    by_family = [
        [str(info[4][0]) for info in infos if (info[0] == socket.AF_INET6) is is_v6]
        for is_v6 in (True, False)
    ]
    return [a[0] for a in by_family if a] + [address for a in by_family for address in a[1:]]


def _failed(errors: Sequence[BaseException]) -> OSError:
    """Return the error of a connection without an address that accepts, as anyio raises it."""
    error = OSError("All connection attempts failed")
    others = [error for error in errors if isinstance(error, Exception)]
    error.__cause__ = (
        others[0]
        if len(others) == 1
        else ExceptionGroup("multiple connection attempts failed", others)
    )
    return error


async def _give_up(attempt: asyncio.Task[tuple[asyncio.BaseTransport, P]]) -> None:
    """Cancel an attempt, or close its connection."""
    attempt.cancel()
    await asyncio.wait([attempt])
    if _is_connected(attempt):
        transport = attempt.result()[0]
        transport.abort() if isinstance(transport, asyncio.Transport) else transport.close()
