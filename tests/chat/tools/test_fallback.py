"""The fallback prompt, for templates without tools."""

import json

import pytest

from friendli_endpoint.chat.tools import ToolSpec
from friendli_endpoint.chat.tools.fallback import prompt

from .cases import NAMES, TOOLS, family, read


@pytest.mark.parametrize("name", NAMES)
def test_the_fallback_prompt_shows_a_format_that_the_parser_reads(name: str) -> None:
    tools = [*TOOLS[:1], ToolSpec("NAME", "Does it.", {"type": "object"})]
    text = family(name).fallback_prompt(tools)
    assert '"Does it."' in text and "x-guidance" not in text
    assert json.loads(text.split("\n")[1])["name"] == "get"
    form = text.split("exactly this form:\n")[1].split("\n\nPut the")[0].replace("VALUE", "1")
    (call,) = read(name, [form], tools).calls
    assert (call.name, call.ended) == ("NAME", True)
    assert json.loads(call.arguments) == {"ARGUMENT": 1}


def test_each_tool_is_a_json_object_on_its_own_line() -> None:
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
