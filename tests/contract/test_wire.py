"""Bytes of answers: events, headers, connections."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .live import Live, http_request, request


def raw_answer(live: Live, body: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    """Reads a stream from the socket; returns its headers and its body without chunk framing."""
    with live.send(body) as connection:
        read = b""
        while not read.endswith(b"\r\n0\r\n\r\n"):
            chunk = connection.recv(65536)
            assert chunk, read
            read += chunk
    head, _, rest = read.partition(b"\r\n\r\n")
    status, *lines = head.decode("ascii").split("\r\n")
    assert status == "HTTP/1.1 200 OK"
    headers = dict(line.split(": ", 1) for line in lines)
    assert headers["transfer-encoding"] == "chunked"
    content = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        content += rest[: int(size, 16)]
        assert rest[int(size, 16) :][:2] == b"\r\n"
        rest = rest[int(size, 16) + 2 :]
    return headers, content


@pytest.mark.parametrize("include_usage", [True, False, None])
def test_events_of_three_choices_have_the_documented_form(
    live: Live, include_usage: bool | None
) -> None:
    options = {"include_usage": include_usage}
    body = request(stream=True, n=3, max_tokens=4, min_tokens=4, seed=1, stream_options=options)
    headers, content = raw_answer(live, body)
    assert headers["content-type"].partition(";")[0] == "text/event-stream"
    assert headers["cache-control"] == "no-cache, no-store, no-transform"
    assert headers["x-request-id"]
    assert "content-length" not in headers

    *events, last, end = content.split(b"\n\n")
    assert (last, end) == (b"data: [DONE]", b"")
    data = [event for event in events if not event.startswith(b":")]
    assert all(event.startswith(b"data: {") and b"\n" not in event for event in data)
    chunks = [json.loads(event[6:]) for event in data]

    for index, chunk in enumerate(chunks[:3]):
        (choice,) = chunk["choices"]
        assert choice["index"] == index
        assert choice["delta"] == {"role": "assistant", "content": ""}
        assert choice["seed"] == 1 + index
        assert choice["finish_reason"] is None
    usages = [chunk["usage"] for chunk in chunks]
    if include_usage:
        assert chunks[-1]["choices"] == []
        assert usages[:-1] == [None] * (len(chunks) - 1)
        assert usages[-1]["completion_tokens"] == 12
    else:
        assert usages == [None] * len(chunks)
    answers = [choice for chunk in chunks for choice in chunk["choices"]]
    for index in range(3):
        own = [choice for choice in answers if choice["index"] == index]
        assert [c["finish_reason"] for c in own] == [None] * (len(own) - 1) + ["length"]
        assert own[-1]["delta"] == {}
        assert all("role" not in choice["delta"] for choice in own[1:])
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    for name in ("id", "created", "model"):
        assert len({chunk[name] for chunk in chunks}) == 1
    assert chunks[0]["model"] == "any"


def test_a_connection_serves_several_requests(live: Live) -> None:
    invalid = json.dumps(request(temperature=-1)).encode()
    with live.connect() as connection:
        for _ in range(3):
            connection.sendall(http_request(invalid))
            read = b""
            while b'"code":"out_of_range"}}' not in read:
                chunk = connection.recv(65536)
                assert chunk, read
                read += chunk
            assert read.startswith(b"HTTP/1.1 400 ")
