"""Calls that are JSON objects: their beginning, and the names in them."""

import json

import pytest

from friendli_endpoint.chat.tools import ToolSpec
from friendli_endpoint.chat.tools.form import FormMatch, Name
from friendli_endpoint.chat.tools.objects import call_body, head_form, names_in_json

from .cases import TOOLS

FORM = head_form((), names_in_json(TOOLS), "arguments")


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "get", "arguments": {',
        '{"name":"get","arguments":{',
        '{\n  "name" : "get" ,\r\n\t"arguments"\n:\n{',
    ],
)
def test_a_head_ends_before_the_brace_of_the_arguments(text: str) -> None:
    assert FORM.match(text) == FormMatch(len(text) - 1, "get")


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "put", "arguments": {',
        "{'name': 'get', 'arguments': {",
        '{"name": "get", "parameters": {',
        '{"name": "get", "arguments": [',
        '{"name": "get", "arguments": null',
        '{"arguments": {}, "name": "get"',
        '{"name": "get"}',
        '{"function": "get", "arguments": {',
        '{"name":' + " " * 17 + '"get"',
    ],
)
def test_other_objects_do_not_begin_a_call(text: str) -> None:
    assert FORM.match(text) is None


def test_names_are_read_with_escapes_and_without() -> None:
    names = names_in_json([ToolSpec('große"x', None, {}), ToolSpec("get", None, {})])
    form = head_form(("!",), names, "arguments")
    for written in ('"gro\\u00dfe\\"x"', '"große\\"x"'):
        text = f'!{{"name": {written}, "arguments": {{'
        assert form.match(text) == FormMatch(len(text) - 1, 'große"x')
    assert names_in_json(TOOLS[:1]) == Name((('"get"', "get"),)), "each text is listed only once"


def test_the_body_of_a_call_is_its_object_without_the_last_brace() -> None:
    body = call_body(TOOLS[:1], "parameters")
    opening, _, schema = body.strip("()").partition(" %json ")
    assert json.loads(opening) == '{"name": "get", "parameters": '
    assert json.loads(schema)["properties"].keys() == {"city", "days", "unit"}
