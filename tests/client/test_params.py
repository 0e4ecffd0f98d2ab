"""The arguments of a chat call."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pydantic
import pytest

from friendli import UNSET, AsyncFriendli, SyncFriendli

from .conftest import Caller
from .wire import MESSAGES, Serve, completion, json_answer, stream_answer, words

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


def test_every_argument_is_sent_under_its_name(serve: Serve, caller: Caller) -> None:
    server = serve(json_answer(completion()))
    caller.call(server.url, **NULLABLE, tool_choice="auto")
    sent = server.requests[0].json
    assert {name: sent[name] for name in NULLABLE} == NULLABLE
    assert sent["tool_choice"] == "auto"


@pytest.mark.parametrize("method", ["complete", "stream"])
def test_unset_is_left_out_and_none_is_null(serve: Serve, caller: Caller, method: str) -> None:
    reply = json_answer(completion()) if method == "complete" else stream_answer(words("a"))
    server = serve(reply)
    bare = {"model": "e", "messages": MESSAGES} | ({"stream": True} if method == "stream" else {})
    caller.call(
        server.url, method, **dict.fromkeys(NULLABLE, UNSET), tool_choice=UNSET, stream=UNSET
    )
    caller.call(server.url, method, **dict.fromkeys(NULLABLE), tool_choice=None)
    assert server.requests[0].json == bare
    assert server.requests[1].json == {**bare, **dict.fromkeys(NULLABLE)}


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
    def test_pydantic_says_which(self, caller: Caller, wrong: dict[str, Any], field: str) -> None:
        with pytest.raises(pydantic.ValidationError) as caught:
            caller.call("http://127.0.0.1:9", **wrong)
        assert caught.value.errors()[0]["loc"][0] == field

    @pytest.mark.parametrize("name", ["logit_bias", "chat_template_kwargs", "extra_body"])
    def test_nan_deep_inside_is_named(self, caller: Caller, name: str) -> None:
        with pytest.raises(
            ValueError, match=rf"`{name}\['a'\]\[1\]` must be a finite number, got nan"
        ):
            caller.call("http://127.0.0.1:9", **{name: {"a": [1, math.nan]}})

    def test_unknown_and_missing_arguments(self, caller: Caller) -> None:
        with pytest.raises(
            TypeError, match=r"unexpected keyword argument 'temprature'.*extra_body"
        ):
            caller.call("http://127.0.0.1:9", temprature=1)
        with pytest.raises(TypeError, match="positional"):
            SyncFriendli().dedicated.chat.complete("e", MESSAGES)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="missing required keyword-only argument: 'messages'"):
            SyncFriendli().dedicated.chat.complete(model="e")  # type: ignore[call-overload]

    def test_timeout(self, caller: Caller) -> None:
        for wrong in (0, -1, math.inf, "5"):
            with pytest.raises(ValueError, match="`timeout_ms` must be a positive number"):
                caller.call("http://127.0.0.1:9", timeout_ms=wrong)


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
