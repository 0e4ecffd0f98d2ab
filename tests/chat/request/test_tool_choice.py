"""The tools of a request: their names, and the choice among them."""

from typing import Any

import pytest

from friendli_endpoint.chat.request.tool_choice import tool_choice
from friendli_endpoint.generation import RequestError
from tests.support.chat import CHOICES, body_of


def tool(name: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters or {}}}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


TWO = [tool("look"), tool("ask")]


def refusal(**asked: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        tool_choice(body_of(**asked))
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    "asked", [{}, {"tool_choice": "auto"}, {"tools": TWO, "tool_choice": "none"}]
)
def test_nothing_may_be_called_without_tools_or_by_choice(asked: dict[str, Any]) -> None:
    assert tool_choice(body_of(**asked)).tools == ()


@pytest.mark.parametrize(
    ("asked", "required", "parallel", "names"),
    [*CHOICES, ({"tool_choice": "none"}, False, True, [])],
)
def test_what_must_and_may_be_called(
    asked: dict[str, Any], required: bool, parallel: bool, names: list[str]
) -> None:
    choice = tool_choice(body_of(tools=TWO, **asked))
    assert (choice.required, choice.parallel) == (required, parallel)
    assert [offered.name for offered in choice.tools] == names
    assert [offered.name for offered in choice.offered] == ["look", "ask"]


@pytest.mark.parametrize("name", ["a", "a-b_c.d9", "x" * 64])
def test_names_are_taken(name: str) -> None:
    (offered,) = tool_choice(body_of(tools=[tool(name)])).tools
    assert offered.name == name


@pytest.mark.parametrize("name", ["", "a b", "é", 'a"', "x" * 65, "a\n", "a/b"])
def test_names_that_are_none_are_refused_by_their_place(name: str) -> None:
    caught = refusal(tools=[tool("look"), tool(name)])
    assert (caught.param, caught.code) == ("tools[1].function.name", "out_of_range")


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_a_name_is_used_once(choice: str) -> None:
    caught = refusal(tools=[*TWO, tool("look")], tool_choice=choice)
    assert (caught.param, caught.code) == ("tools[2].function.name", "conflict")


def test_a_choice_that_is_not_offered_is_refused_with_those_that_are() -> None:
    caught = refusal(tools=TWO, tool_choice=named("loook"))
    assert (caught.param, caught.code) == ("tool_choice.function.name", "unknown_value")
    assert "look, ask" in caught.message


@pytest.mark.parametrize("kind", ["string", "array", ["object", "null"]])
def test_arguments_are_an_object(kind: object) -> None:
    caught = refusal(tools=[tool("look"), tool("ask", {"type": kind})])
    assert (caught.param, caught.code) == ("tools[1].function.parameters.type", "invalid_schema")


def test_a_tool_is_offered_as_it_was_sent_with_its_place() -> None:
    sent = tool("ask", {"properties": {"a": {}}})
    sent["function"]["description"] = "Asks."
    _, offered = tool_choice(body_of(tools=[tool("look"), sent])).offered
    assert (offered.position, offered.param) == (1, "tools[1].function.parameters")
    assert offered.description == "Asks."
    assert offered.parameters == {"type": "object", "properties": {"a": {}}}
    assert offered.definition == sent
