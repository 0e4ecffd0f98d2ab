"""Listening sockets and their URLs, for IPv4 and IPv6."""

import socket

import httpx2
import pytest

from friendli_endpoint.server.listening import format_address, listen, url_of


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


HOSTS = [
    ("127.0.0.1", "127.0.0.1"),
    ("localhost", "127.0.0.1"),
    pytest.param(
        "::1", "[::1]", marks=pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6")
    ),
]


@pytest.mark.parametrize(("host", "shown"), HOSTS)
def test_a_listener_accepts_connections_at_its_url(host: str, shown: str) -> None:
    with listen(host, 0) as listener:
        url = httpx2.URL(url_of(listener, "https"))
        assert (url.scheme, str(url)) == ("https", f"https://{shown}:{listener.getsockname()[1]}")
        socket.create_connection((url.host, url.port or 0), timeout=10).close()


@pytest.mark.parametrize(("host", "_shown"), HOSTS)
def test_a_port_in_use_is_an_error(host: str, _shown: str) -> None:
    with listen(host, 0) as listener, pytest.raises(OSError, match="in use"):
        listen(host, listener.getsockname()[1])


def test_an_unknown_host_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        listen("[::1]", 0)


def test_an_address_has_brackets_around_ipv6() -> None:
    assert format_address("::1", 80) == "[::1]:80"
    assert format_address("here.example", 80) == "here.example:80"
