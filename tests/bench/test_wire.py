"""Request bodies in each dialect, and parsing of addresses."""

import json
from typing import Any

import pytest

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.bench.scenarios import ANSWER_SCHEMA
from friendli_endpoint.bench.wire import DIALECTS, Address, BenchError, Request, body, user

GREEDY = Request((user("Hello!"),), 5)
SAMPLED = Request((user("Hello!"),), 5, temperature=0.8, top_p=0.95)


def encoded(request: Request, dialect: str) -> dict[str, Any]:
    address = Address("s", "http://s/", dialect, model="m", end_tokens=(0, 2))
    return dict(json.loads(body(request, address)))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects_differ_only_in_their_sampling_fields(dialect: str) -> None:
    asked = encoded(SAMPLED, dialect)
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


def test_default_samplers_of_llama_cpp_are_switched_off() -> None:
    assert (
        encoded(SAMPLED, "llama.cpp").items()
        >= {
            "top_k": 0,
            "min_p": 0.0,
            "typical_p": 1.0,
            "repeat_penalty": 1.0,
        }.items()
    )


def test_greedy_requests_have_temperature_0_and_top_k_1_on_llama_cpp() -> None:
    assert encoded(GREEDY, "llama.cpp")["top_k"] == 1
    for dialect in DIALECTS:
        asked = encoded(GREEDY, dialect)
        assert asked["temperature"] == 0
        assert "top_p" not in asked


@pytest.mark.parametrize(
    "request_", [GREEDY, SAMPLED, Request((user("x"),), 5, temperature=1.0, choices=8)]
)
def test_this_endpoint_accepts_every_field_of_its_dialect(request_: Request) -> None:
    sent = json.dumps(encoded(request_, "friendli"))
    parsed = DedicatedChatCompletionBody.model_validate_json(sent, strict=True)
    assert not parsed.model_extra
    assert (parsed.n or 1) == request_.choices


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_schema_is_the_same_in_all_dialects_and_bans_no_token(dialect: str) -> None:
    asked = encoded(Request((user("x"),), 5, schema=ANSWER_SCHEMA), dialect)
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
def test_the_dialect_of_an_address_is_given_or_follows_from_its_path(
    text: str, url: str, dialect: str
) -> None:
    address = Address.parse(text, model="m", end_tokens=(), token=None)
    assert (address.url, address.dialect) == (url, dialect)


@pytest.mark.parametrize("text", ["h:1", "ftp://h", "http://", "vllm=http://h:1", ""])
def test_an_invalid_address_is_rejected(text: str) -> None:
    with pytest.raises(BenchError, match=r"not an address|no dialect"):
        Address.parse(text, model="m", end_tokens=(), token=None)


def test_the_name_of_an_address_is_host_and_port_without_credentials() -> None:
    address = Address.parse("http://me:secret@h:1/v1/x", model="m", end_tokens=(), token=None)
    assert address.name == "h:1"


def test_the_repr_of_an_address_does_not_contain_its_token() -> None:
    assert "secret" not in repr(Address("s", "http://s/", "openai", token="secret"))
