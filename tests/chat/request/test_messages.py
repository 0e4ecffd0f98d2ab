"""Messages that say the same in several ways are resolved to one."""

from typing import Any

import pytest

from friendli_endpoint.chat.request.messages import resolve_messages
from friendli_endpoint.generation import RequestError
from tests.support.chat import body_of


def resolved(**fields: Any) -> dict[str, Any]:
    """Returns an assistant message with these fields as `resolve_messages` returns it."""
    message = {"role": "assistant", **fields}
    (result,) = resolve_messages(body_of(messages=[message]).messages)
    return result.model_dump()


def call(**function: Any) -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": "f", **function}}


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"reasoning": "r"}, {"reasoning_content": "r"}),
        ({"reasoning": "r", "reasoning_content": None}, {"reasoning_content": "r"}),
        ({"reasoning": "r", "reasoning_content": ""}, {"reasoning_content": "r"}),
        ({"reasoning": "r", "reasoning_content": "r"}, {"reasoning_content": "r"}),
        ({"reasoning": "", "reasoning_content": "r"}, {"reasoning_content": "r"}),
        ({"reasoning": None, "reasoning_content": "r"}, {"reasoning_content": "r"}),
        ({"reasoning": None}, {}),
        ({}, {}),
    ],
)
def test_reasoning_is_another_name_of_reasoning_content(
    fields: dict[str, Any], reasoning: dict[str, Any]
) -> None:
    assert resolved(content="c", **fields) == {"role": "assistant", "content": "c", **reasoning}


def test_two_different_reasonings_are_rejected() -> None:
    answer = {"role": "assistant", "reasoning": "a", "reasoning_content": "b"}
    messages = [{"role": "user", "content": "q"}, answer]
    with pytest.raises(RequestError) as caught:
        resolve_messages(body_of(messages=messages).messages)
    assert (caught.value.status, caught.value.code) == (400, "conflict")
    assert caught.value.param == "messages[1].reasoning"


@pytest.mark.parametrize("calls", [None, []])
def test_empty_tool_calls_are_absent(calls: object) -> None:
    assert resolved(content="c", tool_calls=calls) == {"role": "assistant", "content": "c"}


def test_a_call_without_arguments_has_an_empty_object() -> None:
    calls = [call(arguments='{"a": 1}'), call(arguments=None), call()]
    found = resolved(tool_calls=calls)["tool_calls"]
    assert [made["function"]["arguments"] for made in found] == ['{"a": 1}', "{}", "{}"]
    assert [made["id"] for made in found] == ["1", "1", "1"]


def test_other_messages_are_unchanged() -> None:
    sent: list[dict[str, Any]] = [
        {"role": "system", "content": "s", "name": "n"},
        {"role": "user", "content": [{"type": "text", "text": "u"}]},
        {"role": "assistant", "content": "a", "reasoning_content": "r"},
        {"role": "tool", "tool_call_id": "1"},
        {"role": "tool", "tool_call_id": "1", "content": None},
    ]
    sent[2]["tool_calls"] = [call(arguments="{}")]
    assert [m.model_dump() for m in resolve_messages(body_of(messages=sent).messages)] == sent
