"""Histories as programs send them: the messages of an answer, of this endpoint and of others."""

import json
from typing import Any

import pytest

from friendli.models import (
    AssistantMessage,
    ChatChoiceMessage,
    DedicatedChatCompletionBody,
    FunctionResult,
    Message,
    StreamedChatChoiceDelta,
    ToolCallResult,
)
from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.body import parse_body

USER = {"role": "user", "content": "q"}
FUNCTION: dict[str, Any] = {"name": "f", "arguments": "{}"}
CALL: dict[str, Any] = {"id": "1", "type": "function", "function": FUNCTION}
PLAIN = {"role": "assistant", "content": "c"}
CALLING = {"role": "assistant", "tool_calls": [CALL]}


def body_of(*messages: Any, **fields: Any) -> DedicatedChatCompletionBody:
    body = {"model": "m", "messages": [USER, *messages], **fields}
    return parse_body(json.dumps(body).encode(), DedicatedChatCompletionBody)


def echoed(message: dict[str, Any]) -> Message:
    """Returns a message of a history as it is parsed."""
    return body_of(message).messages[1]


def error_of(*messages: Any, **fields: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        body_of(*messages, **fields)
    assert caught.value.status == 400
    return caught.value


# ── answers of this endpoint ─────────────────────────────────────────────────────────────────

MESSAGE = {**PLAIN, "reasoning_content": "r", "tool_calls": [CALL]}


def test_every_field_of_an_answer_is_a_field_of_a_message() -> None:
    wire = {field.alias or name for name, field in ChatChoiceMessage.model_fields.items()}
    assert set(MESSAGE) == wire
    assert {field.alias or n for n, field in ToolCallResult.model_fields.items()} == set(CALL)
    assert set(FunctionResult.model_fields) == set(FUNCTION)
    assert echoed(MESSAGE).model_dump() == MESSAGE


@pytest.mark.parametrize("name", [name for name in MESSAGE if name != "role"])
def test_any_field_of_an_answer_may_be_null(name: str) -> None:
    expected = {key: value for key, value in MESSAGE.items() if key != name}
    assert echoed({**MESSAGE, name: None}).model_dump() == expected


def test_the_deltas_of_a_stream_may_be_sent_back_joined() -> None:
    delta = StreamedChatChoiceDelta.model_validate(
        {**MESSAGE, "tool_calls": [{"index": 0, **CALL}]}
    )
    assert echoed(delta.model_dump()).model_dump() == MESSAGE


# ── answers of other servers ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "fields",
    [
        {"refusal": None, "audio": None, "function_call": None, "annotations": []},
        {"refusal": "no", "annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}]},
        {"parsed": {"a": [None, {"b": 1}]}, "tool_calls": []},
        {"reasoning_details": [{"type": "reasoning.text", "text": "r", "signature": None}]},
        {"provider_specific_fields": {"refusal": None}, "thinking_blocks": [{"thinking": "r"}]},
        {"id": "msg_1", "cache_control": {"type": "ephemeral"}, "logprobs": None},
        {"extra_content": {"google": {"thought": True}}, "tool_calls": None},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_another_answer_says_besides_its_content_has_no_effect(fields: dict[str, Any]) -> None:
    found = echoed({**PLAIN, **fields})
    assert isinstance(found, AssistantMessage)
    assert not found.tool_calls
    assert found.model_dump(exclude={"tool_calls"}) == PLAIN


@pytest.mark.parametrize(
    "call",
    [
        {**CALL, "index": 0},
        {**CALL, "function": {**FUNCTION, "parsed_arguments": {"a": 1}, "description": None}},
        {**CALL, "extra_content": {"google": {"thought_signature": "s"}}, "custom": None},
        {**CALL, "provider_specific_fields": None},
    ],
)
def test_what_another_answer_says_besides_a_call_has_no_effect(call: dict[str, Any]) -> None:
    assert echoed({**CALLING, "tool_calls": [call]}).model_dump() == CALLING


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"function_call": FUNCTION, "content": None}, "messages[1].function_call"),
        ({"audio": {"id": "a"}}, "messages[1].audio"),
        ({"images": [{"type": "image_url"}]}, "messages[1].images"),
        ({"thinking": "r"}, "messages[1].thinking"),
        ({"tool_call_id": "1", "content": "c"}, "messages[1].tool_call_id"),
        (
            {"tool_calls": [{**CALL, "function": {**FUNCTION, "output": "x"}}]},
            "messages[1].tool_calls[0].function.output",
        ),
    ],
)
def test_what_would_change_the_prompt_elsewhere_is_rejected(
    message: dict[str, Any], param: str
) -> None:
    error = error_of({"role": "assistant", **message})
    assert (error.param, error.code) == (param, "unknown_field")


# ── results and content ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fields", [{}, {"content": None}, {"content": ""}, {"content": []}])
def test_the_content_of_answers_and_results_may_be_empty(fields: dict[str, Any]) -> None:
    result = {"role": "tool", "tool_call_id": "1"}
    answer, found = body_of({**CALLING, **fields}, {**result, **fields}).messages[1:]
    kept = {name: value for name, value in fields.items() if value is not None}
    assert answer.model_dump() == {**CALLING, **kept}
    assert found.model_dump() == {**result, **kept}


def test_the_parts_of_a_user_message_may_be_an_empty_list() -> None:
    assert echoed({"role": "user", "content": []}).content == []


def test_a_part_may_have_what_other_servers_return_or_take() -> None:
    part = {"type": "text", "text": "t", "annotations": None, "cache_control": {"type": "x"}}
    found = echoed({"role": "tool", "tool_call_id": "1", "content": [part]})
    assert found.model_dump()["content"] == [{"type": "text", "text": "t"}]


# ── tools ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "function",
    [
        {"name": "f"},
        {"name": "f", "parameters": None, "description": None, "strict": None, "foo": None},
        {"name": "f", "strict": True, "cache_control": {"type": "ephemeral"}},
    ],
)
def test_a_tool_needs_nothing_but_a_name(function: dict[str, Any]) -> None:
    found = body_of(tools=[{"type": "function", "function": function}]).tools
    assert found
    assert found[0].model_dump() == {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"function": {"name": "f", "foo": 0}}]}, "tools[0].function.foo"),
        ({"tools": [{"function": {"name": "f"}, "name": "f"}]}, "tools[0].name"),
        ({"stream_options": {"bananas": 1}}, "stream_options.bananas"),
        ({"tool_choice": {"function": {"name": "f", "x": 1}}}, "tool_choice.function.x"),
        ({"response_format": {"type": "text", "schema": {}}}, "response_format.schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"scheme": {}}}},
            "response_format.json_schema.scheme",
        ),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"extra_body": {}}, "extra_body"),
    ],
)
def test_what_would_change_the_answer_elsewhere_is_rejected(
    fields: dict[str, Any], param: str
) -> None:
    assert error_of(**fields).param == param
