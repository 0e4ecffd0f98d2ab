"""Listening sockets, for IPv4 and IPv6, and their URLs."""

import socket

__all__ = ["format_address", "listen", "url_of"]


def listen(host: str, port: int) -> socket.socket:
    """Listens on an address, for IPv6 if the host has no IPv4 address.

    Args:
        host: Name or address of this machine; an IPv6 address without brackets.
        port: TCP port; 0 for a free one.

    Raises:
        OSError: There is no such host, it is not an address of this machine, or the port is in use.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    return socket.create_server(address, family=family)


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """Returns the URL of a listening socket, without a path."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{format_address(host, port)}"


def format_address(host: str, port: int) -> str:
    """Returns `HOST:PORT`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
