"""Connecting to hosts with several addresses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from friendli._transport import connecting
from friendli._transport.connecting import connect_first

V4, V6 = socket.AF_INET, socket.AF_INET6


class Transport(asyncio.Transport):
    """Transport that records whether it was aborted."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class Network:
    """Host with these addresses; what they do is `accept`, `refuse` or `hang`."""

    def __init__(self, *addresses: tuple[str, str]) -> None:
        self.behaviour = dict(addresses)
        self.tried: list[str] = []
        self.hanging: set[str] = set()
        self.transports: dict[str, Transport] = {}
        self.gate = asyncio.Event()

    async def getaddrinfo(self, host: str, port: int, type: int) -> list[Any]:
        addresses = self.behaviour
        return [(V6 if ":" in name else V4, type, 6, "", (name, port)) for name in addresses]

    async def create_connection(
        self, protocol: Callable[[], Any], address: str, port: int
    ) -> tuple[Transport, Any]:
        self.tried.append(address)
        if self.behaviour[address] == "refuse":
            raise ConnectionRefusedError(111, f"refused by {address}")
        if self.behaviour[address] == "hang":
            self.hanging.add(address)
            try:
                await self.gate.wait()
            finally:
                self.hanging.discard(address)
        self.transports[address] = Transport()
        return self.transports[address], address


async def connect(monkeypatch: pytest.MonkeyPatch, network: Network) -> Any:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(connecting, "_DELAY_SECONDS", 0.001)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "getaddrinfo", network.getaddrinfo)
        patch.setattr(loop, "create_connection", network.create_connection)
        return await connect_first(asyncio.Protocol, "host", 80)


def run(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, str]) -> tuple[Network, Any]:
    async def main() -> tuple[Network, Any]:
        network = Network(*addresses)
        result = await connect(monkeypatch, network)
        assert network.hanging == set()  # the other attempts have ended
        return network, result

    return asyncio.run(main())


def test_addresses_of_ipv6_and_ipv4_alternate_first(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = [(name, "refuse") for name in ("1.1.1.1", "1.1.1.2", "::1", "::2")]
    network, _ = run(monkeypatch, *refused, ("1.1.1.3", "accept"))
    assert network.tried == ["::1", "1.1.1.1", "::2", "1.1.1.2", "1.1.1.3"]


def test_refusing_address_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    network, result = run(monkeypatch, ("::1", "refuse"), ("1.1.1.1", "accept"))
    assert (result, network.tried) == ("1.1.1.1", ["::1", "1.1.1.1"])


def test_hanging_address_is_joined_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    _, result = run(monkeypatch, ("::1", "hang"), ("1.1.1.1", "hang"), ("1.1.1.2", "accept"))
    assert result == "1.1.1.2"


def test_second_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> Network:
        network = Network(("::1", "hang"), ("1.1.1.1", "hang"))
        task = asyncio.create_task(connect(monkeypatch, network))
        while len(network.hanging) < 2:
            await asyncio.sleep(0)
        network.gate.set()
        assert await task == "::1"
        return network

    network = asyncio.run(main())
    assert [(name, t.aborted) for name, t in network.transports.items()] == [
        ("::1", False),
        ("1.1.1.1", True),
    ]


def test_error_names_the_cause_of_each_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match=r"^All connection attempts failed$") as caught:
        run(monkeypatch, ("::1", "refuse"))
    assert "refused by ::1" in str(caught.value.__cause__)
    with pytest.raises(OSError, match=r"^All connection attempts failed$") as caught:
        run(monkeypatch, ("::1", "refuse"), ("1.1.1.1", "refuse"))
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert len(caught.value.__cause__.exceptions) == 2


def test_cancelled_connecting_ends_every_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        network = Network(("::1", "hang"), ("1.1.1.1", "hang"))
        task = asyncio.create_task(connect(monkeypatch, network))
        while len(network.hanging) < 2:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert network.hanging == set()

    asyncio.run(main())
