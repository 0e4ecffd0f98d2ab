"""Sends valid, malformed and random HTTP to a real endpoint, as bytes on a connection."""

import json
import random
import re
import socket
from collections.abc import Callable
from typing import Any

from tests.contract.live import COMPLETIONS, HELLO, abort
from tests.contract.served import Served
from tests.load.attack import TIMEOUT_SECONDS, attack

__all__ = ["shape", "shapes"]

Draw = random.Random
Headers = list[bytes]

BODY = json.dumps({"model": "m", "messages": HELLO, "max_tokens": 1}).encode()
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
PATHS = [b"/health", b"/live", b"/", b"*", b"//", b"/%00%ff", b"/../..", b"http://h/health", b"?"]
METHODS = [b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"PUT", b"TRACE", b"CONNECT", b"PRI", b"get"]
VERSIONS = [b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"http/1.1", b""]
GARBAGE = [b"\x16\x03\x01\x02\x00\x01\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n" * 50]
GARBAGE += [b"\0" * 100, b"\xff\xfe", b"GET", b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 70_000]


JSON_TYPE = b"content-type: application/json"


def odd_header(draw: Draw) -> Headers:
    """Draws headers that are numerous, long, malformed or significant."""
    return draw.choice(
        [
            [b"a: b"] * draw.choice([10, 200, 300, 20_000]),
            [b"a: " + b"x" * draw.choice([100, 60_000, 70_000, 500_000])],
            [b"x" * draw.choice([100, 70_000]) + b": a"],
            [b"x-request-id: " + b"\xff" * 20],
            [draw.choice([b"a b: c", b": c", b"a", b"a : b", b" folded: a", b"a: \0", b"a\0: b"])],
            [b"upgrade: " + draw.choice([b"websocket", b"h2c", b"x"]), b"connection: upgrade"],
            [b"expect: " + draw.choice([b"100-continue", b"200-ok", b""])],
            [b"host: a", b"host: b"],
            [b"authorization: Bearer " + b"x" * draw.choice([0, 10, 9_000])],
            [b"x-request-timeout: " + draw.choice([b"5", b"0", b"nan", b"1e9", b"-1"])],
            [b"content-type: text/plain", b"content-encoding: gzip"],
            [b"origin: null", b"access-control-request-method: POST"],
            [
                b"traceparent: "
                + draw.choice([b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", b"x"])
            ],
            [b"connection: " + draw.choice([b"close", b"keep-alive", b"x, close", b", ,"])],
        ]
    )


def lengths(draw: Draw) -> Headers:
    """Draws headers with a right or wrong length of the body."""
    right = b"content-length: %d" % len(BODY)
    wrong = draw.choice([b"-1", b"+5", b"x", b"1e3", b"9" * 40, b"0x10", b"", b"5, 5", b" 7 "])
    return draw.choice(
        [
            [right],
            [right, right],
            [right, b"content-length: 1"],
            [right, b"transfer-encoding: chunked"],
            [b"content-length: " + wrong],
            [b"content-length: %d" % draw.choice([0, 1, len(BODY) + 9, 5 << 20, 1 << 40])],
            [b"transfer-encoding: " + draw.choice([b"gzip", b"chunked, gzip", b"identity", b"x"])],
            [],
        ]
    )


def chunks(draw: Draw) -> bytes:
    """Encodes the body in chunks, one of which may be malformed."""
    rest, made = BODY, b""
    while rest:
        chunk, rest = rest[: draw.choice([1, 7, 50, 1_000])], rest[draw.choice([1, 7, 50, 1_000]) :]
        extension = draw.choice([b"", b"", b";a=b", b';a="' + b"x" * 200 + b'"', b";" * 9])
        made += b"%x" % len(chunk) + extension + b"\r\n" + chunk + b"\r\n"
    sizes = [b"zz", b"-1", b"f" * 17, b"0x5", b" 5", b"", b"5;" + b"x" * 80_000, b"ffffffff"]
    if draw.random() < 0.4:
        made += draw.choice(sizes) + draw.choice([b"\r\n", b"\n", b""]) + b"abcde\r\n"
    trailers = draw.choice([b"", b"", b"a: b\r\n", b"a: b\r\n" * 300, b"a: " + b"x" * 80_000])
    return made + draw.choice([b"0\r\n", b"0;x\r\n", b"00\r\n", b""]) + trailers + b"\r\n"


def request(draw: Draw, is_last: bool) -> bytes:
    """Draws a valid or unusual request; the last request of a connection mostly closes it."""
    closing = [b"connection: close"] if is_last and draw.random() < 0.8 else []
    if draw.random() < 0.4:
        head = [
            b"POST " + COMPLETIONS.encode() + b" HTTP/1.1",
            b"host: localhost",
            JSON_TYPE,
            b"content-length: %d" % len(BODY),
        ]
        good = draw.choice([([b"GET /health HTTP/1.1", b"host: localhost"], b""), (head, BODY)])
        return b"\r\n".join([*good[0], *closing, b"", good[1]])
    headers = [b"host: localhost", JSON_TYPE, *(odd_header(draw) if draw.random() < 0.5 else [])]
    headers += closing
    kind = draw.randrange(5)
    if kind < 2:
        start = [draw.choice(METHODS[:3] * 3 + METHODS), draw.choice(PATHS * 2 + [b"/x" * 40_000])]
        content = b""
    else:
        start = [b"POST", draw.choice([COMPLETIONS.encode(), b"/dedicated/v1/tokenize", b"/x"])]
        is_chunked = kind == 2
        headers += [b"transfer-encoding: chunked"] if is_chunked else lengths(draw)
        content = chunks(draw) if is_chunked else BODY
    line = b" ".join([*start, draw.choice(VERSIONS)])
    end = draw.choice([b"\r\n"] * 9 + [b"\n"])
    return end.join([line, *headers, b"", content])


def shape(draw: Draw) -> list[bytes]:
    """Draws the data of a connection, in the parts in which they are sent."""
    number = draw.choice([1, 1, 1, 2, 3, 16, 17, 40, 2_000])
    if number > 3:
        sent = request(draw, False)[:30_000] * (number - 1) + request(draw, True)
    else:
        sent = b"".join(request(draw, n == number - 1) for n in range(number))
    if draw.random() < 0.15:
        sent = draw.choice(
            [*GARBAGE, draw.randbytes(draw.randrange(1, 5_000)), sent + draw.choice(GARBAGE)]
        )
    if draw.random() < 0.15:
        sent = sent[: draw.randrange(len(sent))]
    if draw.random() < 0.05:
        place = draw.randrange(len(sent) + 1)
        sent = sent[:place] + draw.randbytes(3) + sent[place:]
    cuts = sorted(draw.randrange(len(sent) + 1) for _ in range(draw.choice([0, 0, 1, 3, 20])))
    return [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]


def _read(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def _read_after_the_end(connection: socket.socket) -> bytes:
    connection.shutdown(socket.SHUT_WR)
    return _read(connection)


def _read_a_little(connection: socket.socket) -> bytes:
    return connection.recv(10)


def _abort(connection: socket.socket) -> bytes:
    abort(connection)
    return b""


ENDS: list[Callable[[socket.socket], bytes]] = [
    *[_read] * 5,
    *[_read_after_the_end] * 3,
    *(_read_a_little, _abort, lambda _connection: b""),
]


def _attempt(endpoint: Served, draw: Draw) -> list[int]:
    parts, end = shape(draw), draw.choice(ENDS)
    with socket.create_connection(
        ("127.0.0.1", endpoint.port), timeout=TIMEOUT_SECONDS
    ) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for part in parts:
                connection.sendall(part)
            received = end(connection)
        except TimeoutError:
            raise
        except OSError:
            received = b""  # the endpoint has closed the connection
    return [int(status) for status in STATUS.findall(received)]


def shapes(cases: int, *flags: str, first: int = 0) -> dict[str, Any]:
    """Sends generated bytes to a real endpoint, on one connection per case.

    Args:
        cases: Number of cases.
        flags: Further flags of `serve`.
        first: Number of the first case, to repeat a failed one.
    """
    return attack("shapes", cases, _attempt, *flags, first=first)
