"""Requests in each server's words, and streams read as they came."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.bench.load import Reception, read
from friendli_endpoint.bench.prose import fresh_words, words
from friendli_endpoint.bench.scenes import ANSWER_SCHEMA
from friendli_endpoint.bench.wire import DIALECTS, Address, BenchError, Request, body, user
from tests.bench.loopback import chunk, usage

GREEDY = Request((user("Hello!"),), 5)
SAMPLED = Request((user("Hello!"),), 5, temperature=0.8, top_p=0.95)


def spoken(request: Request, dialect: str) -> dict[str, Any]:
    address = Address("s", "http://s/", dialect, model="m", end_tokens=(0, 2))
    return dict(json.loads(body(request, address)))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_server_is_asked_for_the_same(dialect: str) -> None:
    asked = spoken(SAMPLED, dialect)
    common = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello!"}],
        "max_tokens": 5,
        "temperature": 0.8,
        "top_p": 0.95,
        "stream": True,
        "stream_options": {"include_usage": True},
        "logit_bias": {"0": -100, "2": -100},
    }
    assert asked == common | dict(DIALECTS[dialect].sampled)


def test_what_llama_cpp_would_do_unasked_is_switched_off() -> None:
    assert (
        spoken(SAMPLED, "llama.cpp").items()
        >= {
            "top_k": 0,
            "min_p": 0.0,
            "typical_p": 1.0,
            "repeat_penalty": 1.0,
        }.items()
    )


def test_greedy_is_temperature_0_and_the_shortest_way_there_is() -> None:
    assert spoken(GREEDY, "llama.cpp")["top_k"] == 1
    for dialect in DIALECTS:
        asked = spoken(GREEDY, dialect)
        assert asked["temperature"] == 0
        assert "top_p" not in asked


@pytest.mark.parametrize(
    "request_", [GREEDY, SAMPLED, Request((user("x"),), 5, temperature=1.0, choices=8)]
)
def test_ours_takes_every_field_of_its_dialect(request_: Request) -> None:
    asked = json.dumps(spoken(request_, "friendli"))
    taken = DedicatedChatCompletionBody.model_validate_json(asked, strict=True)
    assert not taken.model_extra
    assert (taken.n or 1) == request_.choices


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_schema_is_said_alike_and_bans_nothing(dialect: str) -> None:
    asked = spoken(Request((user("x"),), 5, schema=ANSWER_SCHEMA), dialect)
    assert asked["response_format"]["type"] == "json_schema"
    assert asked["response_format"]["json_schema"]["schema"] == ANSWER_SCHEMA
    assert "logit_bias" not in asked


@pytest.mark.parametrize(
    ("text", "url", "dialect"),
    [
        ("http://h:1", "http://h:1/dedicated/v1/chat/completions", "friendli"),
        ("http://h:1/", "http://h:1/dedicated/v1/chat/completions", "friendli"),
        (
            "http://h:1/dedicated/v1/chat/completions",
            "http://h:1/dedicated/v1/chat/completions",
            "friendli",
        ),
        ("https://h/v1/chat/completions", "https://h/v1/chat/completions", "openai"),
        ("llama.cpp=http://h:1", "http://h:1/v1/chat/completions", "llama.cpp"),
        ("openai=http://h:1/x/y", "http://h:1/x/y", "openai"),
    ],
)
def test_an_address_names_its_dialect_or_shows_it(text: str, url: str, dialect: str) -> None:
    address = Address.parse(text, model="m", end_tokens=(), token=None)
    assert (address.url, address.dialect) == (url, dialect)


@pytest.mark.parametrize("text", ["h:1", "ftp://h", "http://", "vllm=http://h:1", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BenchError, match=r"no address|no dialect"):
        Address.parse(text, model="m", end_tokens=(), token=None)


def test_a_name_is_host_and_port_without_credentials() -> None:
    address = Address.parse("http://me:secret@h:1/v1/x", model="m", end_tokens=(), token=None)
    assert address.name == "h:1"


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(Address("s", "http://s/", "openai", token="secret"))


@given(st.integers(1, 500), st.text(max_size=5))
def test_prompts_have_exactly_so_many_words_and_follow_from_their_seed(
    count: int, seed: str
) -> None:
    assert len(words(count, seed).split()) == count
    assert len(fresh_words(count, seed).split()) == count
    assert fresh_words(count, seed) == fresh_words(count, seed)


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
