"""Messages as chat templates expect them."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from friendli.models import Message
from friendli_endpoint.chat.prompt.abilities import TemplateAbilities
from friendli_endpoint.chat.prompt.history import messages_for
from friendli_endpoint.chat.tools import family_named
from friendli_endpoint.chat.tools.toolbox import Toolbox
from tests.support.chat import body_of, toolbox_of
from tests.support.scripted import ScriptedVocabulary

WIRE: TypeAdapter[list[Message]] = TypeAdapter(list[Message])
VOCABULARY = ScriptedVocabulary()
FULL = TemplateAbilities("{{ tools }}{{ message.tool_calls }}")
PLAIN = TemplateAbilities("{% for m in messages %}{{ m.role ~ m.content }}{% endfor %}")
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
USER = {"role": "user", "content": "hi"}


def toolbox() -> Toolbox:
    box = toolbox_of(body_of(tools=[TOOL]), VOCABULARY, family_named("hermes"))
    assert box is not None
    return box


def wire(*messages: dict[str, Any]) -> list[Message]:
    """Returns the messages as wire types."""
    return WIRE.validate_python(messages)


def assistant_with_call(arguments: str, content: object = None) -> dict[str, Any]:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": arguments}}
    return {"role": "assistant", "content": content, "tool_calls": [call]}


def prepared(message: dict[str, Any], abilities: TemplateAbilities = FULL) -> dict[str, Any]:
    (result,) = messages_for(abilities, wire(message), None)
    return result


def test_the_developer_role_becomes_system() -> None:
    assert prepared({"role": "developer", "content": "Be brief."}) == {
        "role": "system",
        "content": "Be brief.",
    }


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_text_parts_are_joined_by_newlines(role: str) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    message = {"role": role, "content": parts, **({"tool_call_id": "1"} if role == "tool" else {})}
    assert prepared(message) == {**message, "content": "a\nb"}


@pytest.mark.parametrize("content", [None, "", []])
def test_missing_content_becomes_an_empty_string(content: object) -> None:
    assert prepared({"role": "assistant", "content": content})["content"] == ""


def test_null_fields_are_dropped_and_others_are_kept() -> None:
    message = {"role": "user", "content": "a", "name": None, "reasoning_content": "b"}
    assert prepared(message) == {"role": "user", "content": "a", "reasoning_content": "b"}


def test_the_messages_of_the_request_are_not_modified() -> None:
    (message,) = wire(assistant_with_call('{"a": 1}'))
    for abilities in (FULL, PLAIN):
        messages_for(abilities, [message], None)
        assert [message] == wire(assistant_with_call('{"a": 1}'))


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [('{"a": {"b": 1}}', {"a": {"b": 1}}), ("{}", {}), ("no json", "no json")],
)
def test_arguments_of_calls_become_objects(arguments: str, parsed: object) -> None:
    message = prepared(assistant_with_call(arguments))
    assert message["content"] == ""
    (call,) = message["tool_calls"]
    assert call["function"] == {"name": "look", "arguments": parsed}
    assert call["id"] == "1"


@pytest.mark.parametrize(("content", "before"), [(None, ""), ("Wait.", "Wait.\n")])
def test_calls_become_text_for_a_template_without_calls(content: object, before: str) -> None:
    message = prepared(assistant_with_call('{"a": "é"}', content), PLAIN)
    assert message == {
        "role": "assistant",
        "content": f'{before}<tool_call>\n{{"name": "look", "arguments": {{"a": "é"}}}}\n'
        "</tool_call>",
    }


def test_a_template_with_tools_gets_no_tool_prompt() -> None:
    assert messages_for(FULL, wire(USER), toolbox()) == [USER]


def test_a_template_without_tools_gets_a_tool_prompt() -> None:
    system, rest = messages_for(PLAIN, wire(USER), toolbox())
    assert rest == USER
    assert system["role"] == "system"
    assert "look" in system["content"]
    assert "<tool_call>" in system["content"]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_the_tool_prompt_follows_the_system_message(role: str) -> None:
    tool_prompt = messages_for(PLAIN, wire(USER), toolbox())[0]["content"]
    system, rest = messages_for(
        PLAIN, wire({"role": role, "content": "Be brief."}, USER), toolbox()
    )
    assert system == {"role": "system", "content": f"Be brief.\n\n{tool_prompt}"}
    assert rest == USER


def test_there_is_no_tool_prompt_without_tools() -> None:
    assert messages_for(PLAIN, wire(USER), None) == [USER]


def test_a_template_with_calls_but_without_tools_gets_a_tool_prompt() -> None:
    system, *_ = messages_for(
        TemplateAbilities("{{ message['tool_calls'] }}"), wire(USER), toolbox()
    )
    assert system["role"] == "system"


ALTERNATING = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}[{{ m.content }}]{% endfor %}"
)
"""A template that requires alternating users and assistants, and no other role."""


def alternating(*messages: dict[str, Any], tools: bool = False) -> list[tuple[str, str]]:
    """Returns roles and contents for a template that supports only user and assistant."""
    prepared_messages = messages_for(
        TemplateAbilities(ALTERNATING), wire(*messages), toolbox() if tools else None
    )
    assert all(set(message) == {"role", "content"} for message in prepared_messages)
    return [(message["role"], message["content"]) for message in prepared_messages]


SYSTEM = {"role": "system", "content": "Be brief."}
ANSWER = {"role": "assistant", "content": "Ho."}


def test_the_system_message_is_put_into_the_user_message() -> None:
    assert alternating(SYSTEM, USER, ANSWER) == [("user", "Be brief.\n\nhi"), ("assistant", "Ho.")]
    assert alternating(SYSTEM) == [("user", "Be brief.")]
    assert alternating(SYSTEM, ANSWER) == [("user", "Be brief."), ("assistant", "Ho.")]
    assert alternating(USER) == [("user", "hi")]


def test_the_tool_prompt_is_put_into_the_user_message() -> None:
    tool_prompt = messages_for(PLAIN, wire(USER), toolbox())[0]["content"]
    assert alternating(USER, tools=True) == [("user", f"{tool_prompt}\n\nhi")]
    assert alternating(SYSTEM, USER, tools=True) == [("user", f"Be brief.\n\n{tool_prompt}\n\nhi")]


def test_results_become_one_user_message() -> None:
    first, second = ({"role": "tool", "tool_call_id": "1", "content": result} for result in "45")
    call = assistant_with_call("{}", "Wait.")
    one_result, both_results = (
        "\n".join(f"<tool_response>\n{result}\n</tool_response>" for result in results)
        for results in ("4", "45")
    )
    assert alternating(USER, call, first)[2:] == [("user", one_result)]
    assert alternating(USER, call, first, second, USER, ANSWER)[2:] == [
        ("user", f"{both_results}\nhi"),
        ("assistant", "Ho."),
    ]
    assert alternating(USER, call, first, ANSWER, USER)[2:] == [
        ("user", one_result),
        ("assistant", "Ho."),
        ("user", "hi"),
    ]
