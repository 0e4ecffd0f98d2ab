"""The body of a request."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from friendli import models

from ..conftest import Caller
from ..wire import Serve, completion, json_answer


class TestMessages:
    def test_models_dicts_and_generators_are_valid_messages(
        self, serve: Serve, caller: Caller
    ) -> None:
        server = serve(json_answer(completion()))
        messages = [
            models.SystemMessage(content="s"),
            {"role": "developer", "content": "d"},
            models.UserMessage(content=[models.TextContent(text="t")]),
            {"role": "assistant", "content": None, "novel": 1},
        ]
        caller.call(server.url, messages=(message for message in messages))
        assert server.requests[0].json["messages"] == [
            {"role": "system", "content": "s"},
            {"role": "developer", "content": "d"},
            {"role": "user", "content": [{"type": "text", "text": "t"}]},
            {"role": "assistant", "content": None, "novel": 1},
        ]

    def test_messages_of_an_answer_are_valid_messages(self, serve: Serve, caller: Caller) -> None:
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        raw = completion(None)
        raw["choices"][0]["message"]["tool_calls"] = [call]
        server = serve(json_answer(raw))
        message = caller.call(server.url).choices[0].message
        again = {"role": "assistant", "tool_calls": message.tool_calls}
        caller.call(server.url, messages=[message, again])
        sent = server.requests[1].json["messages"]
        assert sent == [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "assistant", "tool_calls": [call]},
        ]


def test_extra_body_overrides_arguments(serve: Serve, caller: Caller) -> None:
    server = serve(json_answer(completion()))
    caller.call(server.url, extra_body={"next_month": [1], "max_tokens": 3}, max_tokens=2)
    assert server.requests[0].json["next_month"] == [1]
    assert server.requests[0].json["max_tokens"] == 3


def test_what_may_be_absent_or_null_is_sent_unchanged(serve: Serve, caller: Caller) -> None:
    server = serve(json_answer(completion()))
    sent: dict[str, list[dict[str, object]]] = {
        "messages": [
            {"role": "user", "content": []},
            {
                "role": "assistant",
                "refusal": None,
                "reasoning": "r",
                "tool_calls": [
                    {"id": "1", "type": "function", "index": 0, "function": {"name": "f"}},
                    {
                        "id": "2",
                        "type": "function",
                        "function": {"name": "f", "arguments": None, "foo": 1},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "1"},
            {"role": "tool", "tool_call_id": "2", "content": None},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f"}},
            {"type": "function", "function": {"name": "g", "parameters": None, "strict": None}},
        ],
    }
    caller.call(server.url, **sent)
    assert {name: server.requests[0].json[name] for name in sent} == sent


@pytest.mark.parametrize("schema", [{}, {"schema": None}, {"schema": {"type": "object"}}])
def test_a_json_object_may_have_a_schema(
    serve: Serve, caller: Caller, schema: dict[str, object]
) -> None:
    server = serve(json_answer(completion()))
    sent = {"type": "json_object", **schema}
    caller.call(server.url, response_format=sent)
    caller.call(server.url, response_format=models.ResponseFormatJSONObject.model_validate(sent))
    assert [request.json["response_format"] for request in server.requests] == [sent, sent]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"messages": [{"content": "x"}]}, "messages[0] has no role"),
        ({"messages": [{"role": "x"}]}, "messages[0].role must be one of 'system', "),
        (
            {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
            "messages[0].content[0] has no type",
        ),
        ({"response_format": {"schema": "a"}}, "response_format has no type"),
        ({"response_format": {"type": "xml"}}, "response_format.type must be one of 'text', "),
    ],
)
def test_missing_and_unknown_kinds_are_named_by_their_path(
    caller: Caller, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        caller.call("http://127.0.0.1:9", **changes)
    assert message in str(caught.value) and "discriminator" not in str(caught.value)
