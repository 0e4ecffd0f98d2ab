"""The tools of a request: names, choices, and what cannot be enforced."""

from typing import Any

import pytest

from friendli_endpoint.chat.structured import ConstraintCompiler
from friendli_endpoint.chat.tools import family_named
from friendli_endpoint.chat.tools.toolbox import control_markers, marker_of, toolbox_of
from friendli_endpoint.generation import Refusal
from tests.support.scripted import ScriptedVocabulary

HERMES = family_named("hermes")
VOCABULARY = ScriptedVocabulary()
COMPILER = ConstraintCompiler(VOCABULARY)


def tool(name: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters or {}}}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


TWO = [tool("look"), tool("ask")]


def refusal(**asked: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        toolbox_of(asked, HERMES)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    "asked", [{}, {"tool_choice": "auto"}, {"tools": TWO, "tool_choice": "none"}]
)
def test_there_is_no_toolbox_where_nothing_may_be_called(asked: dict[str, Any]) -> None:
    assert toolbox_of(asked, HERMES) is None


@pytest.mark.parametrize(
    ("asked", "required", "parallel", "names"),
    [
        ({}, False, True, ["look", "ask"]),
        ({"tool_choice": "auto"}, False, True, ["look", "ask"]),
        ({"tool_choice": "required"}, True, True, ["look", "ask"]),
        ({"tool_choice": named("ask")}, True, False, ["ask"]),
        ({"parallel_tool_calls": True}, False, True, ["look", "ask"]),
        ({"parallel_tool_calls": False}, False, False, ["look", "ask"]),
        ({"tool_choice": "required", "parallel_tool_calls": False}, True, False, ["look", "ask"]),
        ({"tool_choice": named("look"), "parallel_tool_calls": True}, True, False, ["look"]),
    ],
)
def test_what_must_and_may_be_called(
    asked: dict[str, Any], required: bool, parallel: bool, names: list[str]
) -> None:
    box = toolbox_of({"tools": TWO, **asked}, HERMES)
    assert box is not None
    assert (box.required, box.parallel) == (required, parallel)
    assert [each.name for each in box.tools] == names
    assert [each["function"]["name"] for each in box.offered] == names


@pytest.mark.parametrize("name", ["a", "a-b_c.d9", "x" * 64])
def test_names_are_taken(name: str) -> None:
    box = toolbox_of({"tools": [tool(name)]}, HERMES)
    assert box is not None
    assert box.tools[0].name == name


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


def test_a_schema_that_cannot_be_enforced_names_its_place() -> None:
    bad = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    with pytest.raises(Refusal) as caught:
        box = toolbox_of({"tools": [tool("look"), tool("ask", bad)]}, HERMES)
        assert box is not None
        box.constraint(COMPILER, VOCABULARY.end_ids, marker_of(HERMES, VOCABULARY))
    assert caught.value.status == 400
    assert caught.value.param is not None
    assert caught.value.param.startswith("tools[1].function.parameters")
    assert "uniqueItems" in caught.value.message


def test_the_constraint_of_a_required_call_begins_with_the_marker() -> None:
    box = toolbox_of({"tools": TWO, "tool_choice": named("ask")}, HERMES)
    assert box is not None
    constraint = box.constraint(COMPILER, VOCABULARY.end_ids, marker_of(HERMES, VOCABULARY))
    assert VOCABULARY.text(constraint.forced()).startswith("<tool_call>")


class Marked(ScriptedVocabulary):
    def piece(self, token_id: int) -> bytes:
        return b"<tool_call>" if token_id == 3 else super().piece(token_id)


def test_markers_that_are_control_tokens_are_written_as_such() -> None:
    assert control_markers(HERMES, VOCABULARY) == frozenset()
    assert control_markers(HERMES, Marked()) == {3}
    marker = marker_of(HERMES, Marked())
    assert marker("<tool_call>") == "<[3]>"
    assert marker('a"\\\n') == '"a\\"\\\\\\n"'
