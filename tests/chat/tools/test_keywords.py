"""Python keyword arguments: their grammar, and their conversion to JSON."""

import json
from typing import Any

import pytest

from friendli_endpoint.chat.tools import ToolSpec
from friendli_endpoint.chat.tools.arguments import Read
from friendli_endpoint.chat.tools.keywords import KeywordArguments, keyword_rules
from friendli_endpoint.generation import RequestError

from .one_value import STRING, check_value


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (STRING, '"a, )b"', "a, )b"),
        ({"type": "string", "pattern": "^a+$"}, '"aa"', "aa"),
        ({"type": ["string", "null"]}, "null", None),
        ({"type": "integer"}, "12", 12),
        ({"type": "boolean"}, "True", True),
        ({"type": "null"}, "None", None),
        ({"enum": [1, "a"]}, '"a"', "a"),
        ({"type": "boolean", "const": True}, "true", True),
    ],
)
def test_a_value_that_the_grammar_allows_is_parsed(
    schema: dict[str, Any], text: str, value: Any
) -> None:
    check_value("pythonic", schema, text, value)


@pytest.mark.parametrize("name", ["", "a b", "a=b", "f(x", "a,b", "it's", "[a", "x" * 257])
def test_an_argument_name_that_is_not_a_valid_keyword_is_unsupported(name: str) -> None:
    spec = ToolSpec("f", None, {"type": "object", "properties": {name: STRING}})
    with pytest.raises(RequestError, match="is not supported in this model's tool-call format"):
        keyword_rules(spec, "0")


def test_the_rules_of_two_tools_have_different_names() -> None:
    spec = ToolSpec("f", None, {"type": "object", "properties": {"a": STRING, "b": STRING}})
    names = [
        {line.partition(":")[0] for line in keyword_rules(spec, suffix).splitlines()}
        for suffix in ("0", "1")
    ]
    assert "args_0_0" in names[0] and "args_1_0" in names[1]
    assert names[0].isdisjoint(names[1])


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        (")", {}),
        (" \n)", {}),
        ("a=1)", {"a": 1}),
        ("a = 1 , b\n=\t2 )", {"a": 1, "b": 2}),
        ("a='x, b=1)')", {"a": "x, b=1)"}),
        ('a="it\'s")', {"a": "it's"}),
        ("a=[1, (2, 3)], b={'c': 'd)'})", {"a": [1, [2, 3]], "b": {"c": "d)"}}),
        ("a=True, b=None, c=false)", {"a": True, "b": None, "c": False}),
        ("a=f(1, 2))", {"a": "f(1, 2)"}),
        ("a=)", {"a": ""}),
        ("größe=1)", {"größe": 1}),
    ],
)
def test_arguments_become_an_object_up_to_the_closing_parenthesis(
    text: str, arguments: dict[str, Any]
) -> None:
    read = KeywordArguments().read(text + "] and more")
    assert read.consumed == len(text) and read.ended
    assert json.loads(read.fragment) == arguments


def test_a_value_is_output_when_it_is_complete() -> None:
    arguments = KeywordArguments()
    assert arguments.read("a=[1, ") == Read(2, "{")
    assert arguments.read("[1, 2]") == Read(0, "")
    assert arguments.read("[1, 2],") == Read(6, '"a":[1,2]')
    assert arguments.read(", b") == Read(0, "")
    assert arguments.read(", b=1)") == Read(6, ',"b":1}', ended=True)


@pytest.mark.parametrize("text", ["'x')", "=1)", "1+1, b=2)", ", a=1)", "f(1))", "a b=1)"])
def test_invalid_keyword_arguments_are_broken(text: str) -> None:
    assert KeywordArguments().read(text) == Read(0, "", broken=True)


def test_an_argument_without_a_name_is_broken_after_the_first() -> None:
    assert KeywordArguments().read("a=1, 2)") == Read(3, '{"a":1', broken=True)
