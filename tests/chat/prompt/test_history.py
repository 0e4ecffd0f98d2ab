"""Messages as templates expect them."""

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
ABLE = TemplateAbilities("{{ tools }}{{ message.tool_calls }}")
PLAIN = TemplateAbilities("{{ message.content }}")
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
USER = {"role": "user", "content": "hi"}


def toolbox() -> Toolbox:
    box = toolbox_of(body_of(tools=[TOOL]), VOCABULARY, family_named("hermes"))
    assert box is not None
    return box


def wire(*messages: dict[str, Any]) -> list[Message]:
    """The same messages as a request carries them."""
    return WIRE.validate_python(messages)


def called(arguments: str, content: object = None) -> dict[str, Any]:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": arguments}}
    return {"role": "assistant", "content": content, "tool_calls": [call]}


def one(message: dict[str, Any], abilities: TemplateAbilities = ABLE) -> dict[str, Any]:
    (plain,) = messages_for(abilities, wire(message), None)
    return plain


def test_a_developer_is_a_system() -> None:
    assert one({"role": "developer", "content": "Be brief."}) == {
        "role": "system",
        "content": "Be brief.",
    }


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_parts_are_joined_line_by_line(role: str) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    message = {"role": role, "content": parts, **({"tool_call_id": "1"} if role == "tool" else {})}
    assert one(message) == {**message, "content": "a\nb"}


@pytest.mark.parametrize("content", [None, "", []])
def test_no_content_is_empty_content(content: object) -> None:
    assert one({"role": "assistant", "content": content})["content"] == ""


def test_what_is_null_is_left_out_and_the_rest_is_kept() -> None:
    message = {"role": "user", "content": "a", "name": None, "reasoning_content": "b"}
    assert one(message) == {"role": "user", "content": "a", "reasoning_content": "b"}


def test_what_was_sent_is_not_changed() -> None:
    (message,) = wire(called('{"a": 1}'))
    for abilities in (ABLE, PLAIN):
        messages_for(abilities, [message], None)
        assert [message] == wire(called('{"a": 1}'))


@pytest.mark.parametrize(
    ("arguments", "read"),
    [('{"a": {"b": 1}}', {"a": {"b": 1}}), ("{}", {}), ("no json", "no json")],
)
def test_calls_have_their_arguments_as_objects(arguments: str, read: object) -> None:
    plain = one(called(arguments))
    assert plain["content"] == ""
    (call,) = plain["tool_calls"]
    assert call["function"] == {"name": "look", "arguments": read}
    assert call["id"] == "1"


@pytest.mark.parametrize(("content", "before"), [(None, ""), ("Wait.", "Wait.\n")])
def test_a_template_without_a_place_for_calls_gets_them_as_text(
    content: object, before: str
) -> None:
    plain = one(called('{"a": "é"}', content), PLAIN)
    assert plain == {
        "role": "assistant",
        "content": f'{before}<tool_call>\n{{"name": "look", "arguments": {{"a": "é"}}}}\n'
        "</tool_call>",
    }


def test_a_template_with_a_place_for_tools_is_told_nothing_more() -> None:
    assert messages_for(ABLE, wire(USER), toolbox()) == [USER]


def test_a_template_without_a_place_for_tools_gets_them_explained() -> None:
    system, rest = messages_for(PLAIN, wire(USER), toolbox())
    assert rest == USER
    assert system["role"] == "system"
    assert "look" in system["content"]
    assert "<tool_call>" in system["content"]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_the_explanation_follows_what_the_system_said(role: str) -> None:
    told = messages_for(PLAIN, wire(USER), toolbox())[0]["content"]
    system, rest = messages_for(
        PLAIN, wire({"role": role, "content": "Be brief."}, USER), toolbox()
    )
    assert system == {"role": "system", "content": f"Be brief.\n\n{told}"}
    assert rest == USER


def test_without_tools_nothing_is_explained() -> None:
    assert messages_for(PLAIN, wire(USER), None) == [USER]


def test_a_place_for_calls_alone_is_no_place_for_tools() -> None:
    system, *_ = messages_for(
        TemplateAbilities("{{ message['tool_calls'] }}"), wire(USER), toolbox()
    )
    assert system["role"] == "system"


TURNS = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('they take turns') }}{% endif %}[{{ m.content }}]{% endfor %}"
)
"""A template that takes users and assistants by turns, and nobody else."""


def by_turns(*messages: dict[str, Any], tools: bool = False) -> list[tuple[str, str]]:
    """Roles and contents as a template gets them that knows but user and assistant."""
    plain = messages_for(TemplateAbilities(TURNS), wire(*messages), toolbox() if tools else None)
    assert all(set(message) == {"role", "content"} for message in plain)
    return [(message["role"], message["content"]) for message in plain]


SYSTEM = {"role": "system", "content": "Be brief."}
SAID = {"role": "assistant", "content": "Ho."}


def test_without_a_place_for_the_system_the_user_says_it() -> None:
    assert by_turns(SYSTEM, USER, SAID) == [("user", "Be brief.\n\nhi"), ("assistant", "Ho.")]
    assert by_turns(SYSTEM) == [("user", "Be brief.")]
    assert by_turns(SYSTEM, SAID) == [("user", "Be brief."), ("assistant", "Ho.")]
    assert by_turns(USER) == [("user", "hi")]


def test_without_a_place_for_the_system_tools_are_explained_to_the_user() -> None:
    told = messages_for(PLAIN, wire(USER), toolbox())[0]["content"]
    assert by_turns(USER, tools=True) == [("user", f"{told}\n\nhi")]
    assert by_turns(SYSTEM, USER, tools=True) == [("user", f"Be brief.\n\n{told}\n\nhi")]


def test_without_a_place_for_results_the_user_reports_them_in_one_turn() -> None:
    first, second = ({"role": "tool", "tool_call_id": "1", "content": result} for result in "45")
    call = called("{}", "Wait.")
    one_, both = (
        "\n".join(f"<tool_response>\n{result}\n</tool_response>" for result in said)
        for said in ("4", "45")
    )
    assert by_turns(USER, call, first)[2:] == [("user", one_)]
    assert by_turns(USER, call, first, second, USER, SAID)[2:] == [
        ("user", f"{both}\nhi"),
        ("assistant", "Ho."),
    ]
    assert by_turns(USER, call, first, SAID, USER)[2:] == [
        ("user", one_),
        ("assistant", "Ho."),
        ("user", "hi"),
    ]
