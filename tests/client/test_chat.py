"""What a call puts on the wire, and what it makes of the answer."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from collections.abc import Callable
from typing import Any

import pydantic
import pytest

import friendli
from friendli import UNSET, AsyncFriendli, SyncFriendli, models

from .conftest import Async, Sync
from .wire import MESSAGES, Server, answer, completion, json_answer, stream_answer, words

Way = Sync | Async
Serve = Callable[..., Server]

NULLABLE: dict[str, Any] = {
    "chat_template_kwargs": {"enable_thinking": False},
    "eos_token": [2],
    "frequency_penalty": 0.5,
    "logit_bias": {"12": None},
    "logprobs": True,
    "max_tokens": 200,
    "min_p": 0.1,
    "n": 2,
    "parallel_tool_calls": True,
    "presence_penalty": 0.25,
    "repetition_penalty": 1.5,
    "reasoning_effort": "low",
    "reasoning_budget": 5,
    "seed": [1, 2],
    "stop": ["x"],
    "stream_options": {"include_usage": True},
    "parse_reasoning": True,
    "include_reasoning": False,
    "temperature": 0.5,
    "top_k": 3,
    "top_logprobs": 2,
    "top_p": 0.5,
    "xtc_threshold": 0.125,
    "xtc_probability": 0.5,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    "min_tokens": 1,
    "response_format": {"type": "regex", "schema": "a+"},
}


def test_the_request(serve: Serve, way: Way) -> None:
    server = serve(json_answer(completion(), x_request_id="r-1"))
    result = way.call(server.url, max_tokens=200)
    [request] = server.requests
    assert request.line == "POST /dedicated/v1/chat/completions HTTP/1.1"
    assert request.json == {"model": "e", "messages": MESSAGES, "max_tokens": 200}
    assert request.body.startswith(b'{"model":"e","messages":[{"content":"Hello!"')
    assert request.header("accept") == "application/json"
    assert request.header("content-type") == "application/json"
    assert request.header("authorization") == "Bearer t"
    assert request.header("x-friendli-team") is None
    assert request.header("user-agent") == f"friendli-dedicated/python {friendli.VERSION}"
    assert isinstance(result, models.ContainerChatCompleteSuccess)
    assert result.model_dump() == completion()
    assert result.request_id == "r-1"


def test_every_argument_is_sent_under_its_name(serve: Serve, way: Way) -> None:
    server = serve(json_answer(completion()))
    way.call(server.url, **NULLABLE, tool_choice="auto")
    sent = server.requests[0].json
    assert {name: sent[name] for name in NULLABLE} == NULLABLE
    assert sent["tool_choice"] == "auto"


@pytest.mark.parametrize("method", ["complete", "stream"])
def test_unset_is_left_out_and_none_is_null(serve: Serve, way: Way, method: str) -> None:
    reply = json_answer(completion()) if method == "complete" else stream_answer(words("a"))
    server = serve(reply)
    bare = {"model": "e", "messages": MESSAGES} | ({"stream": True} if method == "stream" else {})
    way.call(server.url, method, **dict.fromkeys(NULLABLE, UNSET), tool_choice=UNSET, stream=UNSET)
    way.call(server.url, method, **dict.fromkeys(NULLABLE), tool_choice=None)
    assert server.requests[0].json == bare
    assert server.requests[1].json == {**bare, **dict.fromkeys(NULLABLE)}


def test_stream_key(serve: Serve, way: Way) -> None:
    server = serve(stream_answer(words("a")))
    way.call(server.url, "stream")
    way.call(server.url, "complete", stream=True)
    assert [r.json["stream"] for r in server.requests] == [True, True]
    assert {r.header("accept") for r in server.requests} == {"text/event-stream"}
    assert server.requests[0].line == "POST /dedicated/v1/chat/completions HTTP/1.1"
    server = serve(json_answer(completion()))
    way.call(server.url, stream=False)
    assert server.requests[0].json["stream"] is False


class TestHeaders:
    def test_replaced_whatever_their_case(self, serve: Serve, way: Way) -> None:
        server = serve(json_answer(completion()))
        mine = {"AUTHORIZATION": "Basic x", "User-Agent": "me", "ACCEPT": "a/b", "X-New": "1"}
        way.call(server.url, http_headers=mine, x_friendli_team="team")
        [request] = server.requests
        for name, value in mine.items():
            assert request.header(name) == value
        assert request.header("x-friendli-team") == "team"

    def test_levels(self, serve: Serve, way: Way) -> None:
        server = serve(json_answer(completion()))
        options = {"x_friendli_team": "mine", "http_headers": {"X-A": "1", "X-B": "1"}}
        way.call(server.url, client_options=options, http_headers={"x-b": "2"})
        way.call(server.url, client_options=options, x_friendli_team="other")
        way.call(server.url, client_options=options, x_friendli_team=None)
        assert [r.header("x-friendli-team") for r in server.requests] == ["mine", "other", None]
        assert [r.header("x-b") for r in server.requests] == ["2", "1", "1"]

    def test_accept_override(self, serve: Serve, way: Way) -> None:
        server = serve(json_answer(completion()))
        way.call(server.url, accept_header_override="application/json;q=0.5")
        assert server.requests[0].header("accept") == "application/json;q=0.5"


class TestMessages:
    def test_models_dicts_and_generators(self, serve: Serve, way: Way) -> None:
        server = serve(json_answer(completion()))
        given = [
            models.SystemMessage(content="s"),
            {"role": "developer", "content": "d"},
            models.UserMessage(content=[models.TextContent(text="t")]),
            {"role": "assistant", "content": None, "novel": 1},
        ]
        way.call(server.url, messages=(message for message in given))
        assert server.requests[0].json["messages"] == [
            {"role": "system", "content": "s"},
            {"role": "developer", "content": "d"},
            {"role": "user", "content": [{"type": "text", "text": "t"}]},
            {"role": "assistant", "content": None, "novel": 1},
        ]

    def test_an_answer_can_be_passed_back(self, serve: Serve, way: Way) -> None:
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        raw = completion(None)
        raw["choices"][0]["message"]["tool_calls"] = [call]
        server = serve(json_answer(raw))
        message = way.call(server.url).choices[0].message
        again = {"role": "assistant", "tool_calls": message.tool_calls}
        way.call(server.url, messages=[message, again])
        sent = server.requests[1].json["messages"]
        assert sent == [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "assistant", "tool_calls": [call]},
        ]


class TestBadArguments:
    @pytest.mark.parametrize(
        "wrong, field",
        [
            ({"messages": "Hi"}, "messages"),
            ({"model": None}, "model"),
            ({"max_tokens": 1.5}, "max_tokens"),
            ({"temperature": math.nan}, "temperature"),
            ({"temperature": math.inf}, "temperature"),
            ({"messages": [{"role": "nobody", "content": ""}]}, "messages"),
        ],
    )
    def test_pydantic_says_which(self, way: Way, wrong: dict[str, Any], field: str) -> None:
        with pytest.raises(pydantic.ValidationError) as caught:
            way.call("http://127.0.0.1:9", **wrong)
        assert caught.value.errors()[0]["loc"][0] == field

    @pytest.mark.parametrize("name", ["logit_bias", "chat_template_kwargs", "extra_body"])
    def test_nan_deep_inside_is_named(self, way: Way, name: str) -> None:
        with pytest.raises(ValueError, match=rf"{name}\['a'\]\[1\] is nan"):
            way.call("http://127.0.0.1:9", **{name: {"a": [1, math.nan]}})

    def test_unknown_and_missing_arguments(self, way: Way) -> None:
        with pytest.raises(
            TypeError, match=r"unexpected keyword argument 'temprature'.*extra_body"
        ):
            way.call("http://127.0.0.1:9", temprature=1)
        with pytest.raises(TypeError, match="positional"):
            SyncFriendli().dedicated.chat.complete("e", MESSAGES)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="missing required keyword-only argument: 'messages'"):
            SyncFriendli().dedicated.chat.complete(model="e")  # type: ignore[call-overload]

    def test_timeout(self, way: Way) -> None:
        for wrong in (0, -1, math.inf, "5"):
            with pytest.raises(ValueError, match="timeout_ms must be a positive number"):
                way.call("http://127.0.0.1:9", timeout_ms=wrong)


def test_extra_body(serve: Serve, way: Way) -> None:
    server = serve(json_answer(completion()))
    way.call(server.url, extra_body={"next_month": [1], "max_tokens": 3}, max_tokens=2)
    assert server.requests[0].json["next_month"] == [1]
    assert server.requests[0].json["max_tokens"] == 3


class Weather(pydantic.BaseModel):
    city: str
    degrees: float


@dataclasses.dataclass
class Point:
    x: int


class TestParsed:
    def test_a_model(self, serve: Serve, way: Way) -> None:
        server = serve(json_answer(completion('{"city": "Seoul", "degrees": 21}', novel=1)))
        result = way.call(server.url, response_format=Weather)
        assert result.parsed == Weather(city="Seoul", degrees=21)
        assert isinstance(result, models.ContainerChatCompleteSuccess)
        assert result.model_dump() == completion('{"city": "Seoul", "degrees": 21}', novel=1)
        sent = server.requests[0].json["response_format"]
        assert sent["type"] == "json_schema"
        assert sent["json_schema"]["schema"] == Weather.model_json_schema()

    def test_a_dataclass(self, serve: Serve, way: Way) -> None:
        server = serve(json_answer(completion('{"x": 3}')))
        assert way.call(server.url, response_format=Point).parsed == Point(3)

    def test_a_stream(self, serve: Serve, way: Way) -> None:
        server = serve(stream_answer(words('{"x"', ": 3}")))
        outcome = way.events(server.url, response_format=Point)
        assert outcome.final.parsed == Point(3)

    def test_cut_off(self, serve: Serve, way: Way) -> None:
        raw = completion('{"x"')
        raw["choices"][0]["finish_reason"] = "length"
        server = serve(json_answer(raw))
        with pytest.raises(friendli.AnswerNotParsedError, match="max_tokens") as caught:
            way.call(server.url, response_format=Point)
        assert caught.value.completion.choices[0].message.content == '{"x"'


def test_raw_response(serve: Serve) -> None:
    server = serve(json_answer(completion(), x_request_id="r"), stream_answer(words("a", "b")))
    with SyncFriendli("t", server_url=server.url) as client:
        chat = client.dedicated.chat.with_raw_response
        raw = chat.complete(model="e", messages=MESSAGES)
        assert (raw.status_code, raw.request_id, raw.headers["Content-Type"]) == (
            200,
            "r",
            "application/json",
        )
        assert raw.parse() is raw.parse()
        assert raw.parse().model_dump() == completion()
        with chat.stream(model="e", messages=MESSAGES).parse() as stream:
            assert list(stream.text_deltas) == ["a", "b"]


def test_signatures_are_those_of_the_page() -> None:
    for client in (SyncFriendli, AsyncFriendli):
        chat = client().dedicated.chat
        for method in (chat.complete, chat.stream):
            parameters = inspect.signature(method).parameters
            assert {p.kind for p in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
            for name in NULLABLE:
                assert parameters[name].default is UNSET, name
            assert parameters["tool_choice"].default is None
            assert parameters["model"].default is inspect.Parameter.empty
            for name in ("retries", "server_url", "timeout_ms", "http_headers", "x_friendli_team"):
                assert name in parameters


def test_a_whole_answer_may_be_compressed_and_slow_in_coming(serve: Serve, way: Way) -> None:
    import gzip

    body = gzip.compress(json.dumps(completion("é" * 1000)).encode())
    server = serve(answer(body, content_encoding="gzip"))
    assert way.call(server.url).choices[0].message.content == "é" * 1000
