"""Recording and parsing of streamed responses."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.bench.load import BEGUN_EVENTS, RecordedResponse, connect, read
from friendli_endpoint.bench.wire import Address, BenchError, Request, user
from tests.bench.loopback import chunk, usage

GREEDY = Request((user("Hello!"),), 5)

STREAM = b"".join(
    (line if isinstance(line, bytes) else b"data: " + json.dumps(line).encode()) + b"\n\n"
    for line in (
        b": alive",
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"index": 1, "delta": {"role": "assistant", "content": None}}]},
        chunk("ab"),
        chunk("é", index=1),
        chunk("cd"),
        chunk(finish="length"),
        chunk(finish="stop", index=1),
        usage(7, 2),
        usage(7, 3),
        b"data: [DONE]",
    )
)


def received(*chunks: bytes) -> RecordedResponse:
    """Returns a response whose chunks arrive one per second."""
    timed = [(float(second), chunk) for second, chunk in enumerate(chunks)]
    return RecordedResponse(GREEDY, sent=-1.0, chunks=timed)


@given(st.sets(st.integers(1, len(STREAM) - 1)))
def test_a_stream_parses_the_same_however_it_is_chunked(cuts: set[int]) -> None:
    bounds = [0, *sorted(cuts), len(STREAM)]
    answer = read(received(*(STREAM[a:b] for a, b in pairwise(bounds))))
    assert answer.texts == {0: "abcd", 1: "é"}
    assert answer.finishes == {0: "length", 1: "stop"}
    # Some servers send one usage, others one per choice: completion tokens are summed.
    assert (answer.prompt_tokens, answer.tokens) == (7, 5)
    assert {index: len(times) for index, times in answer.times.items()} == {0: 2, 1: 1}


def test_an_event_has_the_time_of_the_chunk_that_completes_it() -> None:
    head, tail = STREAM.split(b'"cd"')
    answer = read(received(head, b'"cd"', tail))
    assert answer.times == {0: [0.0, 2.0], 1: [0.0]}
    assert answer.last == 2.0


def test_an_error_event_in_a_stream_raises() -> None:
    broken = STREAM.replace(b"data: [DONE]", b'data: {"error": {"message": "out of memory"}}')
    with pytest.raises(BenchError, match="out of memory"):
        read(received(broken))


def test_a_cancelled_stream_has_no_token_count() -> None:
    answer = read(received(STREAM[: STREAM.index(b'"cd"')]))
    assert answer.texts == {0: "ab", 1: "é"}
    assert answer.tokens is None


def test_reasoning_counts_as_text_of_its_choice() -> None:
    thought = {"choices": [{"index": 0, "delta": {"reasoning_content": "hm, "}}]}
    events = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in (thought, chunk("so"))]
    answer = read(received(*events))
    assert answer.texts == {0: "hm, so"}
    assert answer.times == {0: [0.0, 1.0]}


def test_a_stream_has_begun_after_some_events() -> None:
    response = RecordedResponse(GREEDY)
    for _ in range(BEGUN_EVENTS - 1):
        response.add(b"data: {}\n\n")
        assert not response.begun.is_set()
    response.add(b"\n")
    assert not response.begun.is_set()
    response.add(b"data: {}\n\n")
    assert response.begun.is_set()
    assert len(response.chunks) == BEGUN_EVENTS + 1


# ── sending ──────────────────────────────────────────────────────────────────────────────────


def asked(answer: httpx2.Response | Exception, token: str | None = None) -> httpx2.Request:
    """Sends a request to a server with this answer or failure; returns what the server got."""
    seen: list[httpx2.Request] = []

    def serve(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send_request() -> None:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(serve)) as client:
            response = RecordedResponse(GREEDY)
            await connect(client, Address("s", "http://s/here", "openai", token=token))(response)
            assert read(response).tokens == 2
            assert 0 < response.sent <= response.chunks[0][0]

    asyncio.run(send_request())
    return seen[0]


async def sent(*events: Any) -> AsyncIterator[bytes]:
    """Yields a stream of these events."""
    for event in events:
        yield b"data: " + json.dumps(event).encode() + b"\n\n"


@pytest.mark.parametrize("token", [None, "secret"])
def test_a_token_is_sent_as_bearer_authorization(token: str | None) -> None:
    request = asked(httpx2.Response(200, content=sent(chunk("a"), usage(1, 2))), token)
    assert (request.method, str(request.url)) == ("POST", "http://s/here")
    assert json.loads(request.content)["max_tokens"] == 5
    assert request.headers.get("authorization") == (token and f"Bearer {token}")


def test_an_error_response_is_quoted_up_to_300_characters() -> None:
    with pytest.raises(BenchError) as caught:
        asked(httpx2.Response(429, content=b"x" * 10_000))
    assert str(caught.value) == "s answers 429: " + "x" * 300


@pytest.mark.parametrize(
    ("error", "message"),
    [(httpx2.ConnectError("no route"), "s: no route"), (httpx2.ReadTimeout(""), "s: ReadTimeout")],
)
def test_a_connection_error_names_the_server(error: Exception, message: str) -> None:
    with pytest.raises(BenchError) as caught:
        asked(error)
    assert str(caught.value) == message
