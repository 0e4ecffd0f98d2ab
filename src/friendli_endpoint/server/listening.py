"""Listening sockets, for IPv4 and IPv6, and their URLs."""

import errno
import socket

from friendli_endpoint.generation import StartError

__all__ = ["ListenError", "format_address", "listen", "url_of"]

_OTHER_HOST = "set --host to an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all"
_REASONS = {
    errno.EADDRINUSE: (
        "another program uses this port",
        "choose another port with --port, or --port 0 for a free one",
    ),
    errno.EACCES: (
        "this user may not use this port",
        "choose a port of 1024 or more with --port",
    ),
    errno.EADDRNOTAVAIL: ("this machine does not have this address", _OTHER_HOST),
    errno.EAFNOSUPPORT: ("this machine has no addresses of this kind", _OTHER_HOST),
}
"""Reason and fix by error number; others have the reason of the system."""


class ListenError(StartError):
    """An address cannot be listened on; the message says why, and what to do.

    Attributes:
        reason: Why, with the address.
        fix: What to do.
    """

    def __init__(self, host: str, port: int, reason: str, fix: str) -> None:
        self.reason = f"cannot listen on {format_address(host, port)}: {reason}"
        self.fix = fix
        super().__init__(f"{self.reason}; {fix}")


def listen(host: str, port: int) -> socket.socket:
    """Listens on an address, for IPv6 if the host has no IPv4 address.

    Args:
        host: Name or address of this machine; an IPv6 address without brackets.
        port: TCP port; 0 for a free one.

    Raises:
        ListenError: The host is unknown, it is not an address of this machine, or the port is in
            use or not allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, ValueError) as error:  # ValueError: it cannot be a name, such as one too long
        if host.startswith("["):
            unbracketed = f"set --host to {host.strip('[]')}, without the brackets"
            raise ListenError(host, port, "this host is not known", unbracketed) from error
        raise ListenError(host, port, "this host is not known", _OTHER_HOST) from error
    family, _, _, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    try:
        return socket.create_server(address, family=family)
    except OSError as error:
        system = (_system_reason(error), "set --host and --port to another address")
        reason, fix = _REASONS.get(error.errno or 0, system)
        raise ListenError(host, port, reason, fix) from error


def _system_reason(error: OSError) -> str:
    """Returns the system's text; `create_server` appends the address to it in parentheses."""
    text = error.strerror or str(error)
    return text.partition(" (while ")[0].lower()


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """Returns the URL of a listening socket, without a path."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{format_address(host, port)}"


def format_address(host: str, port: int) -> str:
    """Returns `HOST:PORT`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
