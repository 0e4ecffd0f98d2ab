"""The arguments in Gemma's calls are read as JSON."""

import json
from typing import Any

import pytest

from friendli_endpoint.chat.tools.gemma_arguments import GemmaArguments

QUOTE = '<|"|>'


def read(written: str) -> str:
    """Returns the JSON of arguments without their first brace, the same for any chunking."""
    text = written.replace("@", QUOTE) + "}"
    whole = GemmaArguments(QUOTE).read(text + "<tail>")
    assert whole.ended and whole.consumed == len(text), whole
    reader, rest, fragments = GemmaArguments(QUOTE), "", ""
    for character in text:
        rest += character
        part = reader.read(rest)
        rest, fragments = rest[part.consumed :], fragments + part.fragment
    assert part.ended and rest == "" and fragments == whole.fragment
    return fragments


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("", {}),
        (" \n", {}),
        ("a:1", {"a": 1}),
        (" a : 1 , b : -2.5e3 ", {"a": 1, "b": -2500.0}),
        ("a:true,b:false,c:null", {"a": True, "b": False, "c": None}),
        ("a:True,b:None", {"a": True, "b": None}),
        ("a:@@", {"a": ""}),
        ('a:@x, {y}: [z] "q" \\n\n@,b:@\'@', {"a": 'x, {y}: [z] "q" \\n\n', "b": "'"}),
        ("a:[]", {"a": []}),
        ("a:[1,@x,]@,[@y@],{b:@}@}]", {"a": [1, "x,]", ["y"], {"b": "}"}]}),
        ("a:{@b c@:1,d:{e:@f@}}", {"a": {"b c": 1, "d": {"e": "f"}}}),
        ('a:{"b": [1, "}\\"x"]},c:"d"', {"a": {"b": [1, '}"x']}, "c": "d"}),
        ("a:soon,b:[x]", {"a": "soon", "b": ["x"]}),
        ("a:[1 2]", {"a": "[1 2]"}),
        ("a:", {"a": ""}),
    ],
)
def test_arguments_are_read_as_json(written: str, value: dict[str, Any]) -> None:
    assert json.loads(read(written)) == value


@pytest.mark.parametrize("written", [",a:1}", "a 1}", ":1}", "a=1}", '"a":1}', "a:1}b"])
def test_text_that_is_not_an_argument_breaks_the_call(written: str) -> None:
    result = GemmaArguments(QUOTE).read(written + " ")
    assert result.broken or (result.ended and result.consumed < len(written))


def test_a_literal_is_read_when_it_is_complete_and_a_string_at_once() -> None:
    reader = GemmaArguments(QUOTE)
    assert reader.read("a:[1,2").fragment == '{"a":'
    reader = GemmaArguments(QUOTE)
    assert reader.read(f"a:{QUOTE}some text").fragment == '{"a":"some text'
