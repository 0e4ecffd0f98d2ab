"""Arguments of the chat methods."""

from __future__ import annotations

import ast
import inspect
import math
import pydoc
import re
import textwrap
from itertools import pairwise
from typing import Any

import pydantic
import pytest

from friendli import UNSET, AsyncFriendli, ChatParams, SyncFriendli

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


def test_keys_of_logit_bias_may_be_token_ids(serve: Serve, caller: Caller) -> None:
    server = serve(json_answer(completion()))
    caller.call(server.url, logit_bias={5: -1, "a": 2.5})
    assert server.requests[0].json["logit_bias"] == {"5": -1, "a": 2.5}


class TestInvalidArguments:
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
    def test_validation_error_names_the_field(
        self, caller: Caller, wrong: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(pydantic.ValidationError) as caught:
            caller.call("http://127.0.0.1:9", **wrong)
        assert caught.value.errors()[0]["loc"][0] == field

    @pytest.mark.parametrize("name", ["logit_bias", "chat_template_kwargs", "extra_body"])
    def test_nested_nan_is_reported_with_its_path(self, caller: Caller, name: str) -> None:
        with pytest.raises(
            ValueError, match=rf"`{name}\['a'\]\[1\]` must be a finite number, got nan"
        ):
            caller.call("http://127.0.0.1:9", **{name: {"a": [1, math.nan]}})

    def test_unknown_and_missing_arguments_raise_type_error(self, caller: Caller) -> None:
        for wrong, text in {
            "temprature": "did you mean 'temperature'?",
            "max_token": "did you mean 'max_tokens'?",
            "timeout": "did you mean 'timeout_ms'?",
            "xyz": "extra_body={...}",
        }.items():
            with pytest.raises(TypeError, match=f"unexpected keyword argument '{wrong}'") as caught:
                caller.call("http://127.0.0.1:9", **{wrong: 1})
            assert text in str(caught.value)
        with pytest.raises(TypeError, match="positional"):
            SyncFriendli().dedicated.chat.complete("e", MESSAGES)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="missing required keyword-only argument: 'messages'"):
            SyncFriendli().dedicated.chat.complete(model="e")  # type: ignore[call-overload]

    def test_timeout_must_be_positive_and_finite(self, caller: Caller) -> None:
        for wrong in (0, -1, math.inf, "5"):
            with pytest.raises(ValueError, match="`timeout_ms` must be a positive number"):
                caller.call("http://127.0.0.1:9", timeout_ms=wrong)


def test_signatures_list_every_argument_as_keyword_only() -> None:
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


def documented_methods() -> list[Any]:
    methods: list[Any] = []
    for client in (SyncFriendli(), AsyncFriendli()):
        chat = client.dedicated.chat
        raw = chat.with_raw_response
        methods += [chat.complete, chat.stream, chat.run_tools, raw.complete, raw.stream]
    return methods


@pytest.mark.parametrize("method", documented_methods(), ids=lambda method: method.__qualname__)
class TestHelp:
    def test_every_argument_is_described(self, method: Any) -> None:
        arguments = section(method, "Args")
        described = re.findall(r"^    (\w+): ", arguments, re.M)
        assert set(ChatParams.__annotations__) | {"model", "messages"} <= set(described)
        assert len(described) == len(set(described))
        assert "**params" not in arguments
        for name, parameter in inspect.signature(method).parameters.items():
            assert name in described or parameter.kind is inspect.Parameter.VAR_KEYWORD

    def test_result_and_error_types_are_importable(self, method: Any) -> None:
        returns, raises = section(method, "Returns"), section(method, "Raises")
        names = re.findall(r"`(friendli\.[\w.]+)`", returns)
        errors = re.findall(r"^    ([\w.]+): ", raises, re.M)
        assert names and errors
        for name in (*names, *errors):
            assert pydoc.locate(name) is not None, name

    def test_docstring_has_an_example_and_no_private_names(self, method: Any) -> None:
        doc = inspect.getdoc(method) or ""
        assert len(section(method, "Example").splitlines()) == 3
        compile(example(method), "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        assert not re.search(r"\b_\w|\._", doc + str(inspect.signature(method)))


def section(method: Any, name: str) -> str:
    doc = inspect.getdoc(method) or ""
    return doc.partition(f"\n{name}:\n")[2].partition("\n\n")[0]


def example(method: Any) -> str:
    return textwrap.dedent(section(method, "Example"))


def test_docstrings_of_keys_match_the_class_docstring() -> None:
    tree = ast.parse(inspect.getsource(ChatParams))
    [definition] = tree.body
    assert isinstance(definition, ast.ClassDef)
    keys: dict[str, str] = {}
    for statement, following in pairwise(definition.body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            assert isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            keys[statement.target.id] = " ".join(str(following.value.value).split())
    assert keys.keys() == ChatParams.__annotations__.keys()
    text = " ".join((inspect.getdoc(ChatParams) or "").partition("Attributes:\n")[2].split())
    assert text == " ".join(f"{name}: {doc}" for name, doc in keys.items())
