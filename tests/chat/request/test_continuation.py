"""Continued messages: the forms of the request, and contradictions between fields."""

from typing import Any

import pytest

from friendli_endpoint.chat.request.continuation import Continuation, continuation_of
from friendli_endpoint.chat.request.validation import ModelFacts, validate
from friendli_endpoint.generation import RequestError
from tests.support.chat import USER, body_of
from tests.support.scripted import ScriptedVocabulary

FACTS = ModelFacts(ScriptedVocabulary())
LAST = {"role": "assistant", "content": "Hel"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": "Hel", "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "4"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "prefix": ({"prefix": True}, {}),
    "partial": ({"partial": True}, {}),
    "both": ({"prefix": True, "partial": True}, {}),
    "field": ({}, {"continue_final_message": True}),
    "fields": ({}, {"continue_final_message": True, "add_generation_prompt": False}),
    "all": (
        {"prefix": True, "partial": True},
        {"continue_final_message": True, "add_generation_prompt": False},
    ),
    "prefix and a false partial": ({"prefix": True, "partial": False}, {}),
    "prefix and a null field": ({"prefix": True}, {"continue_final_message": None}),
    "prefix and a false field": ({"prefix": True}, {"continue_final_message": False}),
    "prefix and no generation prompt": ({"prefix": True}, {"add_generation_prompt": False}),
}


def continued(*messages: dict[str, Any], **fields: Any) -> Continuation | None:
    body = body_of(messages=list(messages), **fields)
    return continuation_of(body, body.messages)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("text", "continuation"),
    [
        ({"content": "Hel"}, Continuation(1, "content", "Hel")),
        ({"content": " \n"}, Continuation(1, "content", " \n")),
        ({"content": ""}, Continuation(1, "content", "")),
        ({}, Continuation(1, "content", "")),
        (
            {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b "}]},
            Continuation(1, "content", "a\nb "),
        ),
        ({"reasoning_content": "Hm "}, Continuation(1, "reasoning_content", "Hm ")),
        (
            {"reasoning_content": "Hm", "content": ""},
            Continuation(1, "reasoning_content", "Hm"),
        ),
        (
            {"reasoning_content": "Hm", "content": None},
            Continuation(1, "reasoning_content", "Hm"),
        ),
        ({"reasoning_content": "Hm", "content": "x"}, Continuation(1, "content", "x")),
        ({"tool_calls": [], "content": "x"}, Continuation(1, "content", "x")),
    ],
)
def test_every_form_continues_the_last_message(
    form: str, text: dict[str, Any], continuation: Continuation
) -> None:
    marks, fields = FORMS[form]
    assert continued(USER, {"role": "assistant", **text, **marks}, **fields) == continuation


@pytest.mark.parametrize(
    ("marks", "fields"),
    [
        ({}, {}),
        ({"prefix": False, "partial": None}, {"continue_final_message": False}),
        ({"prefix": None, "partial": False}, {"add_generation_prompt": True}),
        ({}, {"continue_final_message": None, "add_generation_prompt": None}),
    ],
)
@pytest.mark.parametrize("messages", [[USER], [USER, LAST], [USER, CALLING, RESULT, LAST, USER]])
def test_false_and_null_are_absent_in_every_message(
    messages: list[dict[str, Any]], marks: dict[str, Any], fields: dict[str, Any]
) -> None:
    assert continued(*({**message, **marks} for message in messages), **fields) is None


@pytest.mark.parametrize("mark", ["prefix", "partial"])
@pytest.mark.parametrize(
    ("messages", "index"),
    [
        ([USER, LAST, USER], 1),
        ([LAST, LAST], 0),
        ([USER, CALLING, RESULT], 1),
        ([USER, LAST], 0),
        ([USER], 0),
        ([{"role": "system", "content": "x"}], 0),
        ([USER, CALLING, RESULT], 2),
    ],
)
def test_only_the_last_message_of_the_assistant_can_be_continued(
    mark: str, messages: list[dict[str, Any]], index: int
) -> None:
    marked = [*messages[:index], {**messages[index], mark: True}, *messages[index + 1 :]]
    error = error_of(messages=marked)
    assert (error.status, error.param, error.code) == (400, f"messages[{index}].{mark}", "conflict")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [USER], "continue_final_message": True}, "continue_final_message"),
        (
            {"messages": [USER, CALLING, RESULT], "continue_final_message": True},
            "continue_final_message",
        ),
        (
            {"messages": [USER, CALLING], "continue_final_message": True},
            "messages[1].tool_calls",
        ),
        ({"messages": [USER, {**CALLING, "partial": True}]}, "messages[1].tool_calls"),
        ({"messages": [USER], "add_generation_prompt": False}, "add_generation_prompt"),
        ({"messages": [USER, LAST], "add_generation_prompt": False}, "add_generation_prompt"),
        (
            {"messages": [USER, LAST], "continue_final_message": True}
            | {"add_generation_prompt": True},
            "add_generation_prompt",
        ),
        (
            {"messages": [USER, {**LAST, "prefix": True}], "add_generation_prompt": True},
            "add_generation_prompt",
        ),
        (
            {"messages": [USER, {**LAST, "prefix": True}], "tools": [TOOL]}
            | {"tool_choice": "required"},
            "tool_choice",
        ),
        (
            {"messages": [USER, LAST], "continue_final_message": True, "tools": [TOOL]}
            | {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            "tool_choice",
        ),
    ],
)
def test_what_contradicts_a_continuation_is_rejected_by_name(
    fields: dict[str, Any], param: str
) -> None:
    error = error_of(**fields)
    assert (error.status, error.param, error.code) == (400, param, "conflict")
    assert param.rpartition(".")[2] in error.message


@pytest.mark.parametrize("choice", ["auto", "none", None])
def test_tools_that_are_not_forced_are_allowed(choice: str | None) -> None:
    messages = [USER, {**LAST, "prefix": True}]
    request = validate(body_of(messages=messages, tools=[TOOL], tool_choice=choice), FACTS)
    assert request.continuation == Continuation(1, "content", "Hel")


def error_of(**fields: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        validate(body_of(**fields), FACTS)
    return caught.value
