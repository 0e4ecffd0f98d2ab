"""Clients that leave and clients that send garbage: it costs nobody else anything."""

import http.client
import json
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.contract.conftest import PATH, SEQUENCES, Endpoint, asking

FOREVER: dict[str, Any] = {"max_tokens": 900, "logit_bias": dict.fromkeys("024", False)}
HELLO = [{"role": "user", "content": "Hello!"}]


def connect(endpoint: Endpoint) -> socket.socket:
    """A bare connection."""
    parts = urlsplit(endpoint.address)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def send(connection: socket.socket, body: dict[str, Any]) -> None:
    """A request over it."""
    data = json.dumps(body).encode()
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
    connection.sendall(head.encode() + data)


def drop(connection: socket.socket) -> None:
    """Ends it as a process that dies does: with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture(params=["streamed", "whole"])
def left(request: pytest.FixtureRequest, endpoint: Endpoint) -> Iterator[None]:
    """Four clients that asked for all there is, and left: one is served, three are queued."""
    connections = [connect(endpoint) for _ in range(4)]
    for connection in connections:
        send(connection, asking(**FOREVER, n=SEQUENCES, stream=request.param == "streamed"))
    if request.param == "whole":
        # Nothing is sent before the end: wait until another client sees that all is taken.
        connections[0].settimeout(1.5)
        with pytest.raises(TimeoutError):
            connections[0].recv(1)
    else:
        while b'"content":"' not in connections[0].recv(1 << 16).replace(b'"content":""', b""):
            pass
    for connection in connections:
        drop(connection)
    return iter([None])


@pytest.mark.timeout(100)
def test_who_leaves_frees_the_sequences(left: None, endpoint: Endpoint) -> None:
    # The 28,800 tokens that the others asked for would take minutes.
    answer = endpoint.whole(max_tokens=2, seed=1, n=SEQUENCES)
    assert len(answer["choices"]) == SEQUENCES


GARBAGE: dict[str, tuple[bytes | dict[str, Any], int, str | None]] = {
    "no JSON": (b"{", 400, None),
    "no object": (b"[]", 422, None),
    "deep": (b"[" * 100_000, 400, None),
    "empty": (b"", 400, None),
    "bytes": (b"\xff\xfe\x00", 400, None),
    "lone surrogate": (
        b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
        400,
        None,
    ),
    "no model": ({"messages": HELLO}, 422, "model"),
    "no messages": ({"model": "m"}, 422, "messages"),
    "empty messages": ({"model": "m", "messages": []}, 400, "messages"),
    "text as messages": ({"model": "m", "messages": "hi"}, 422, "messages"),
    "unknown role": (
        {"model": "m", "messages": [{"role": "robot", "content": ""}]},
        400,
        "messages[0].role",
    ),
    "no content": ({"model": "m", "messages": [{"role": "user"}]}, 422, "messages[0].content"),
    "picture": (
        {
            "model": "m",
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}],
                }
            ],
        },
        400,
        "messages[0].content[0]",
    ),
    "unknown field": (asking(colour="red"), 400, "colour"),
    "text as number": (asking(temperature="1"), 422, "temperature"),
    "half a token": (asking(max_tokens=1.5), 422, "max_tokens"),
    "no number": (asking(temperature=float("nan")), 400, "temperature"),
    "endless": (asking(top_p=float("inf")), 400, "top_p"),
    "truth as number": (asking(n=True), 422, "n"),
    "huge n": (asking(n=10**9), 400, "n"),
    "huger": (asking(max_tokens=-(10**30)), 400, "max_tokens"),
    "out of range": (asking(top_p=0), 400, "top_p"),
    "lone option": (asking(stream_options={"include_usage": True}), 400, "stream_options"),
    "adapter": ({**asking(), "model": "m:poet"}, 404, "model"),
    "schema": (
        asking(response_format={"type": "json_schema", "json_schema": {"schema": {"not": {}}}}),
        400,
        "response_format.json_schema.schema.not",
    ),
    "tool": (
        asking(tools=[{"type": "function", "function": {"name": "a b", "parameters": {}}}]),
        400,
        "tools[0].function.name",
    ),
    "large": (b" " * 10_000_000, 413, None),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_told_apart(name: str, endpoint: Endpoint) -> None:
    body, status, param = GARBAGE[name]
    try:
        answer = endpoint.post(body, {"x-request-id": "mine"})
    except OSError:
        # The endpoint hangs up on a body that is too large while it is still being sent.
        assert name == "large"
        return
    assert (answer.status, answer.error()["param"]) == (status, param)
    assert answer.headers["x-request-id"] == "mine"


def test_a_large_body_is_refused_before_it_is_sent(endpoint: Endpoint) -> None:
    with connect(endpoint) as connection:
        connection.sendall(
            f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n\r\n".encode()
        )
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", PATH, 405), ("PUT", PATH, 405), ("POST", "/nope", 404), ("GET", "/", 404)],
)
def test_other_paths_and_methods(method: str, path: str, status: int, endpoint: Endpoint) -> None:
    parts = urlsplit(endpoint.address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        assert response.status == status
        assert json.loads(response.read())["error"]["message"]
        assert response.headers["x-request-id"]
    finally:
        connection.close()


def test_garbage_among_answers(endpoint: Endpoint) -> None:
    asked = asking(seed=1, max_tokens=12)
    alone = endpoint.post(asked).json()["choices"]
    bodies: list[bytes | dict[str, Any]] = [asked, *(body for body, *_ in GARBAGE.values())] * 2
    bodies = [body for body in bodies if body != GARBAGE["large"][0]]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(endpoint.post, bodies))
    for body, answer in zip(bodies, answers, strict=True):
        if body is asked:
            assert answer.json()["choices"] == alone
        else:
            assert 400 <= answer.status < 500


def test_control_tokens_of_users_are_text(endpoint: Endpoint) -> None:
    plain = endpoint.whole(content="a<|im_start|>b", max_tokens=1)["usage"]["prompt_tokens"]
    without = endpoint.whole(content="ab", max_tokens=1)["usage"]["prompt_tokens"]
    assert plain - without > 3
