"""The head of a request as RFC 9110 and RFC 9112 define it, beyond what the parser checks."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = ["Problem", "RequestHead", "Target", "check_head", "keeps_alive"]

Headers = Sequence[tuple[bytes, bytes]]

_HOST = re.compile(
    rb"(\[[0-9A-Za-z:.%_~-]+\]|[0-9A-Za-z%_~!$&'()*+,;=.-]*)(:[0-9]*)?",
)
"""A host with an optional port; RFC 9110, section 7.2, allows an empty one."""

_ABSOLUTE = re.compile(
    rb"https?://(?P<host>[^/?#@]+)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?", re.IGNORECASE
)
"""An absolute-form target, as clients send it to proxies; it has no user name and no fragment."""


class RequestHead(NamedTuple):
    """A request line and headers.

    Attributes:
        method: Method.
        version: Version of HTTP, such as `1.1`.
        target: Request target as sent.
        headers: Names in lower case, and values without surrounding white space.
    """

    method: bytes
    version: str
    target: bytes
    headers: Headers

    def values(self, name: bytes) -> list[bytes]:
        """Returns the values of all headers of this name, in order."""
        return [value for header, value in self.headers if header == name]

    def elements(self, name: bytes) -> list[bytes]:
        """Returns the elements of the comma-separated headers of this name, in lower case."""
        elements = b",".join(self.values(name)).lower().split(b",")
        return [element.strip(b" \t") for element in elements if element.strip(b" \t")]


class Target(NamedTuple):
    """A request target that the application can serve.

    Attributes:
        url: Path and query, or `*`.
        host: Host that the target itself names, which replaces the `Host` header (RFC 9112,
            section 3.2.2); None if it names none.
    """

    url: bytes
    host: bytes | None = None


def keeps_alive(head: RequestHead) -> bool:
    """Returns whether a client wants the connection to stay open (RFC 9112, section 9.3).

    Args:
        head: The head of the request.
    """
    options = head.elements(b"connection")
    if b"close" in options or head.method == b"CONNECT":
        return False
    return head.version != "1.0" or b"keep-alive" in options


class Problem(NamedTuple):
    """A reason to reject a request.

    Attributes:
        status: Status of the response.
        message: A sentence for the client.
    """

    status: int
    message: str


_Check = Callable[[RequestHead], bool]

_PROBLEMS: tuple[tuple[_Check, Problem], ...] = (
    (
        lambda head: head.version not in ("1.0", "1.1"),
        Problem(400, "the request is not valid HTTP/1.1: its version must be 1.0 or 1.1"),
    ),
    (
        lambda head: head.version == "1.1" and not head.values(b"host"),
        Problem(400, "host: a request needs this header"),
    ),
    (
        lambda head: len(head.values(b"host")) > 1,
        Problem(400, "host: a request may have this header only once"),
    ),
    (
        lambda head: not all(map(_HOST.fullmatch, head.values(b"host"))),
        Problem(400, "host: must be a name or an address, with or without a port"),
    ),
    (
        lambda head: head.version == "1.0" and bool(head.values(b"transfer-encoding")),
        Problem(400, "transfer-encoding: HTTP/1.0 does not have this header"),
    ),
    (
        lambda head: head.elements(b"transfer-encoding") not in ([], [b"chunked"]),
        Problem(501, "transfer-encoding: must be chunked"),
    ),
    (
        lambda head: head.method == b"CONNECT",
        Problem(400, "the method CONNECT is for proxies, and this is not a proxy"),
    ),
)

_INVALID_TARGET = Problem(
    400, "the request target must be a path or an absolute http URL without a fragment"
)


def check_head(head: RequestHead) -> Target | Problem:
    """Returns the target of a request, or why it is rejected although the parser has accepted it.

    Args:
        head: The head of the request.
    """
    for is_wrong, problem in _PROBLEMS:
        if is_wrong(head):
            return problem
    return _target_of(head) or _INVALID_TARGET


def _target_of(head: RequestHead) -> Target | None:
    """Returns the target in one of the forms of RFC 9112, section 3.2; None if it is invalid."""
    if head.target == b"*":
        return Target(b"*") if head.method == b"OPTIONS" else None
    if head.target.startswith(b"/"):
        return None if b"#" in head.target else Target(head.target)
    absolute = _ABSOLUTE.fullmatch(head.target)
    if absolute is None or not _HOST.fullmatch(absolute["host"]):
        return None
    path, query = absolute["path"] or b"", absolute["query"] or b""
    if not path + query and head.method == b"OPTIONS":
        return Target(b"*", absolute["host"])
    return Target((path or b"/") + query, absolute["host"])
