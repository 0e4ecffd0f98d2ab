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


def error_of(**asked: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        tool_choice(body_of(**asked))
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    "asked", [{}, {"tool_choice": "auto"}, {"tools": TWO, "tool_choice": "none"}]
)
def test_no_tool_may_be_called_without_tools_or_with_none(asked: dict[str, Any]) -> None:
    assert tool_choice(body_of(**asked)).tools == ()


@pytest.mark.parametrize(
    ("asked", "required", "parallel", "names"),
    [*CHOICES, ({"tool_choice": "none"}, False, True, [])],
)
def test_tool_choice_decides_which_tools_may_and_must_be_called(
    asked: dict[str, Any], required: bool, parallel: bool, names: list[str]
) -> None:
    choice = tool_choice(body_of(tools=TWO, **asked))
    assert (choice.required, choice.parallel) == (required, parallel)
    assert [offered.name for offered in choice.tools] == names
    assert [offered.name for offered in choice.offered] == ["look", "ask"]


@pytest.mark.parametrize("name", ["a", "a-b_c.d9", "x" * 64])
def test_valid_names_are_kept(name: str) -> None:
    (offered,) = tool_choice(body_of(tools=[tool(name)])).tools
    assert offered.name == name


@pytest.mark.parametrize("name", ["", "a b", "é", 'a"', "x" * 65, "a\n", "a/b"])
def test_invalid_names_are_rejected_by_their_path(name: str) -> None:
    error = error_of(tools=[tool("look"), tool(name)])
    assert (error.param, error.code) == ("tools[1].function.name", "out_of_range")


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_two_tools_with_the_same_name_are_rejected(choice: str) -> None:
    error = error_of(tools=[*TWO, tool("look")], tool_choice=choice)
    assert (error.param, error.code) == ("tools[2].function.name", "conflict")


def test_a_choice_that_is_not_offered_is_rejected_with_a_list_of_the_offered_names() -> None:
    error = error_of(tools=TWO, tool_choice=named("loook"))
    assert (error.param, error.code) == ("tool_choice.function.name", "unknown_value")
    assert "look, ask" in error.message


@pytest.mark.parametrize("kind", ["string", "array", ["object", "null"]])
def test_parameters_of_another_type_than_object_are_rejected(kind: object) -> None:
    error = error_of(tools=[tool("look"), tool("ask", {"type": kind})])
    assert (error.param, error.code) == ("tools[1].function.parameters.type", "invalid_schema")


def test_a_tool_keeps_its_definition_and_its_position() -> None:
    sent = tool("ask", {"properties": {"a": {}}})
    sent["function"]["description"] = "Asks."
    _, offered = tool_choice(body_of(tools=[tool("look"), sent])).offered
    assert (offered.position, offered.param) == (1, "tools[1].function.parameters")
    assert offered.description == "Asks."
    assert offered.parameters == {"type": "object", "properties": {"a": {}}}
    shown = offered.definition["function"]
    assert shown == {**sent["function"], "parameters": {"type": "object", "properties": {"a": {}}}}


@pytest.mark.parametrize("parameters", [{}, {"parameters": None}, {"parameters": {}}])
@pytest.mark.parametrize("description", [{}, {"description": None}, {"description": ""}])
def test_a_definition_always_has_what_templates_read(
    parameters: dict[str, Any], description: dict[str, Any]
) -> None:
    sent = {"type": "function", "function": {"name": "f", **parameters, **description}}
    (offered,) = tool_choice(body_of(tools=[sent])).offered
    assert offered.definition == {
        "type": "function",
        "function": {
            "name": "f",
            "description": "",
            "parameters": {"type": "object", "properties": {}},
        },
    }


@pytest.mark.parametrize("parameters", [{}, {"parameters": None}])
def test_a_tool_without_parameters_takes_no_arguments(parameters: dict[str, Any]) -> None:
    sent = {"type": "function", "function": {"name": "f", **parameters}}
    (offered,) = tool_choice(body_of(tools=[sent])).offered
    assert offered.parameters == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }


def test_an_empty_schema_allows_any_arguments() -> None:
    (offered,) = tool_choice(body_of(tools=[tool("f", {})])).offered
    assert offered.parameters == {"type": "object", "properties": {}}
