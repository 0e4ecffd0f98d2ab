"""The system text for templates without a place for tools shows a form that is read."""

import json

import pytest

from friendli_endpoint.chat.tools import ToolSpec
from friendli_endpoint.chat.tools.fallback import prompt

from .cases import NAMES, TOOLS, family, read


@pytest.mark.parametrize("name", NAMES)
def test_the_fallback_prompt_shows_a_form_that_is_read(name: str) -> None:
    tools = [*TOOLS[:1], ToolSpec("NAME", "Does it.", {"type": "object"})]
    told = family(name).fallback_prompt(tools)
    assert '"Does it."' in told and "x-guidance" not in told
    assert json.loads(told.split("\n")[1])["name"] == "get"
    form = told.split("exactly this form:\n")[1].split("\n\nPut the")[0].replace("VALUE", "1")
    (call,) = read(name, [form], tools).calls
    assert (call.name, call.ended) == ("NAME", True)
    assert json.loads(call.arguments) == {"ARGUMENT": 1}


def test_each_tool_is_an_object_on_a_line_of_its_own() -> None:
    tools = [
        ToolSpec("f", 'Sagt "größer"\nals.', {"type": "object"}),
        ToolSpec("g", None, {"type": "object", "properties": {"ü": {}}}),
    ]
    lines = prompt(tools, "NAME()").split("\n")
    assert [json.loads(line) for line in lines[1:3]] == [
        {"name": "f", "description": 'Sagt "größer"\nals.', "parameters": {"type": "object"}},
        {"name": "g", "parameters": {"type": "object", "properties": {"ü": {}}}},
    ]
    assert lines[3] == "" and "NAME()" in lines
    assert "größer" in lines[1] and '"ü"' in lines[2], "letters are not escaped"
