"""Listening sockets and their URLs, for IPv4 and IPv6."""

import errno
import os
import socket

import httpx2
import pytest

from friendli_endpoint.server.listening import ListenError, format_address, listen, url_of


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
    with (
        listen(host, 0) as listener,
        pytest.raises(ListenError, match=r"another program uses this port; .*--port"),
    ):
        listen(host, listener.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "fix"),
    [
        ("[::1]", "set --host to ::1, without the brackets"),
        ("256.1.1.1", "--host"),
        ("a" * 300, "--host"),
        ("a..b", "--host"),
        ("nul\0", "--host"),
        ("name with spaces", "--host"),
    ],
)
def test_a_host_that_does_not_exist_is_an_error(host: str, fix: str) -> None:
    with pytest.raises(ListenError) as raised:
        listen(host, 80)
    assert raised.value.reason.endswith(": this host is not known")
    assert fix in raised.value.fix
    assert str(raised.value) == f"{raised.value.reason}; {raised.value.fix}"


def test_a_host_of_another_machine_is_an_error() -> None:
    with pytest.raises(ListenError, match=r"192\.0\.2\.1:0: this machine does not have .*--host"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EADDRINUSE, "another program uses this port; .*--port 0"),
        (errno.EACCES, "may not use this port; .*1024 or more with --port"),
        (errno.EADDRNOTAVAIL, "does not have this address; set --host"),
        (errno.EAFNOSUPPORT, "no addresses of this kind; set --host"),
        (errno.EMFILE, "too many open files; set"),
    ],
)
@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", r"127\.0\.0\.1"), ("::1", r"\[::1\]")])
def test_every_error_of_the_system_is_a_sentence_with_the_address_and_a_fix(
    monkeypatch: pytest.MonkeyPatch, number: int, said: str, host: str, shown: str
) -> None:
    def fail(address: object, **_: object) -> socket.socket:
        text = f"{os.strerror(number)} (while attempting to bind on address {address!r})"
        raise OSError(number, text)

    monkeypatch.setattr(socket, "create_server", fail)
    with pytest.raises(ListenError, match=f"^cannot listen on {shown}:80: .*{said}") as raised:
        listen(host, 80)
    assert "attempting" not in str(raised.value)


def test_an_address_has_brackets_around_ipv6() -> None:
    assert format_address("::1", 80) == "[::1]:80"
    assert format_address("here.example", 80) == "here.example:80"
