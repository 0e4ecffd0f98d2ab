"""An address that is none of a cluster is an error at once."""

import socket

import pytest

from friendli_endpoint.engine.remote.ray.joining import connect, first_line


@pytest.mark.parametrize(
    "address", ["ray://head:10001", "head", ":6379", "head:port", "http://h:1"]
)
def test_only_the_address_of_a_head_node_is_accepted(address: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        connect(address)


def test_a_head_node_that_does_not_listen_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        connect(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a\nTraceback"), "a"),
        (ValueError("\n  a \n"), "a"),
        (ValueError(), "ValueError"),
    ],
)
def test_only_the_first_line_of_an_error_is_told(error: Exception, line: str) -> None:
    assert first_line(error) == line
