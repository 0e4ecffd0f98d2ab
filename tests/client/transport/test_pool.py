"""Pool of connections: which one a request takes, and which ones are closed."""

from __future__ import annotations

from typing import Any

import h11
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli._transport import pool as module
from friendli._transport.options import IDLE_SECONDS
from friendli._transport.pool import Connection, Key, Pool, key_of

KEY: Key = ("http", "host", None)


class Stream:
    """Network stream that may have been closed by the server."""

    def __init__(self) -> None:
        self.is_readable = False

    def get_extra_info(self, info: str) -> Any:
        assert info == "is_readable"
        return self.is_readable


class Clock:
    """Clock that tests move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def used(key: Key = KEY) -> Connection:
    """Connection after a complete exchange."""
    connection = Connection(key, Stream())
    protocol = connection.protocol
    protocol.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    protocol.send(h11.EndOfMessage())
    connection.receive(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert isinstance(protocol.next_event(), h11.Response)
    assert isinstance(protocol.next_event(), h11.EndOfMessage)
    return connection


def idle(pool: Pool, key: Key = KEY) -> Connection:
    connection = used(key)
    pool.add(connection)
    assert pool.release(connection) == []
    return connection


def test_connection_that_became_idle_last_is_taken() -> None:
    pool = Pool(Clock())
    first, second = idle(pool), idle(pool)
    over_tls = idle(pool, ("https", "host", None))
    assert pool.take(KEY) == (second, [])
    assert pool.take(KEY) == (first, [])
    assert pool.take(KEY) == (None, [])
    assert pool.take(over_tls.key) == (over_tls, [])


def test_unfinished_connection_is_closed() -> None:
    pool = Pool(Clock())
    connection = Connection(KEY, Stream())
    pool.add(connection)
    assert pool.release(connection) == [connection]
    assert pool.take(KEY) == (None, [])


def test_connection_that_the_server_closed_is_not_taken() -> None:
    pool = Pool(Clock())
    good, bad = idle(pool), idle(pool)
    bad.stream.is_readable = True
    assert pool.take(KEY) == (good, [bad])


def test_connection_that_is_idle_for_too_long_is_not_taken() -> None:
    pool = Pool(clock := Clock())
    connection = idle(pool)
    clock.now = IDLE_SECONDS
    assert pool.take(KEY) == (connection, [])
    connection = idle(pool)
    clock.now = 2 * IDLE_SECONDS + 1
    assert pool.take(KEY) == (None, [connection])


def test_cleared_pool_returns_every_connection_once() -> None:
    pool = Pool(Clock())
    connections = {idle(pool), idle(pool)}
    busy = used()
    pool.add(busy)
    assert {*pool.clear()} == connections | {busy}
    assert pool.clear() == []
    assert pool.release(busy) == [busy]  # its request ends after the pool was cleared


@given(st.lists(st.tuples(st.sampled_from(["take", "release", "wait"]), st.integers(0, 20))))
def test_idle_connections_are_few_and_fresh(steps: list[tuple[str, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_IDLE_CONNECTIONS", 3)
        pool = Pool(clock := Clock())
        busy: list[Connection] = []
        open_connections: set[Connection] = set()
        for name, number in steps:
            if name == "wait":
                clock.now += number
                continue
            if name == "take":
                taken, closing = pool.take(KEY)
                if taken is None:
                    taken = Connection(KEY, Stream())
                    pool.add(taken)
                else:
                    assert taken in open_connections and taken not in busy
                    assert clock.now - taken.idle_since <= IDLE_SECONDS
                busy.append(taken)
                open_connections.add(taken)
            elif busy:
                ended = busy.pop(number % len(busy))
                again = used()  # as after a whole exchange
                ended.protocol = again.protocol
                closing = pool.release(ended)
            else:
                continue
            assert not {*closing} & {*busy}
            open_connections -= {*closing}
            assert len(open_connections) - len(busy) <= 3
        assert {*pool.clear()} == open_connections


@pytest.mark.parametrize("url", ["ftp://host/", "/path"])
def test_other_schemes_are_unsupported(url: str) -> None:
    with pytest.raises(httpx2.UnsupportedProtocol, match=r"http://|ftp://"):
        key_of(httpx2.Request("POST", url))


def test_servers_are_told_apart() -> None:
    urls = ["http://host/a", "https://host/a", "http://host:81/a", "http://h\u00f6st/a"]
    assert len({key_of(httpx2.Request("POST", url)) for url in urls}) == len(urls)
