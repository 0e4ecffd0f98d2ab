"""Streams: asked for, received with their times, and read afterwards."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.bench.load import BEGUN_EVENTS, Reception, connect, read
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


def received(*pieces: bytes) -> Reception:
    """Pieces of a stream, one a second."""
    moments = enumerate(pieces)
    return Reception(GREEDY, sent=-1.0, pieces=[(float(at), piece) for at, piece in moments])


@given(st.sets(st.integers(1, len(STREAM) - 1)))
def test_a_stream_says_the_same_in_any_pieces(cuts: set[int]) -> None:
    bounds = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(bounds)]
    answer = read(received(*pieces))
    assert answer.texts == {0: "abcd", 1: "é"}
    assert answer.finishes == {0: "length", 1: "stop"}
    # One server counts once and another once a choice: what is counted is added up.
    assert (answer.prompt_tokens, answer.tokens) == (7, 5)
    assert {index: len(times) for index, times in answer.times.items()} == {0: 2, 1: 1}


def test_an_event_has_the_time_of_the_piece_that_completes_it() -> None:
    head, tail = STREAM.split(b'"cd"')
    answer = read(received(head, b'"cd"', tail))
    assert answer.times == {0: [0.0, 2.0], 1: [0.0]}
    assert answer.last == 2.0


def test_an_error_in_a_stream_is_told() -> None:
    broken = STREAM.replace(b"data: [DONE]", b'data: {"error": {"message": "out of room"}}')
    with pytest.raises(BenchError, match="out of room"):
        read(received(broken))


def test_a_stream_that_was_given_up_has_no_count() -> None:
    answer = read(received(STREAM[: STREAM.index(b'"cd"')]))
    assert answer.texts == {0: "ab", 1: "é"}
    assert answer.tokens is None


def test_the_reasoning_of_a_choice_is_text_of_it() -> None:
    thought = {"choices": [{"index": 0, "delta": {"reasoning_content": "hm, "}}]}
    events = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in (thought, chunk("so"))]
    answer = read(received(*events))
    assert answer.texts == {0: "hm, so"}
    assert answer.times == {0: [0.0, 1.0]}


def test_a_stream_is_under_way_after_some_events() -> None:
    reception = Reception(GREEDY)
    for _ in range(BEGUN_EVENTS - 1):
        reception.take(b"data: {}\n\n")
        assert not reception.begun.is_set()
    reception.take(b"\n")
    assert not reception.begun.is_set()
    reception.take(b"data: {}\n\n")
    assert reception.begun.is_set()
    assert len(reception.pieces) == BEGUN_EVENTS + 1


# ── asking ───────────────────────────────────────────────────────────────────────────────────


def asked(answer: httpx2.Response | Exception, token: str | None = None) -> httpx2.Request:
    """The request that a server gets which answers, or fails, like this."""
    seen: list[httpx2.Request] = []

    def serve(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ask() -> None:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(serve)) as client:
            reception = Reception(GREEDY)
            await connect(client, Address("s", "http://s/here", "openai", token=token))(reception)
            assert read(reception).tokens == 2
            assert 0 < reception.sent <= reception.pieces[0][0]

    asyncio.run(ask())
    return seen[0]


async def sent(*events: Any) -> AsyncIterator[bytes]:
    """A stream of these events."""
    for event in events:
        yield b"data: " + json.dumps(event).encode() + b"\n\n"


@pytest.mark.parametrize("token", [None, "secret"])
def test_a_token_is_shown_where_there_is_one(token: str | None) -> None:
    request = asked(httpx2.Response(200, content=sent(chunk("a"), usage(1, 2))), token)
    assert (request.method, str(request.url)) == ("POST", "http://s/here")
    assert json.loads(request.content)["max_tokens"] == 5
    assert request.headers.get("authorization") == (token and f"Bearer {token}")


def test_a_server_that_refuses_is_quoted_at_no_length() -> None:
    with pytest.raises(BenchError) as caught:
        asked(httpx2.Response(429, content=b"x" * 10_000))
    assert str(caught.value) == "s answers 429: " + "x" * 300


@pytest.mark.parametrize(
    ("error", "said"),
    [(httpx2.ConnectError("no route"), "s: no route"), (httpx2.ReadTimeout(""), "s: ReadTimeout")],
)
def test_a_connection_that_breaks_is_named_by_its_server(error: Exception, said: str) -> None:
    with pytest.raises(BenchError) as caught:
        asked(error)
    assert str(caught.value) == said
