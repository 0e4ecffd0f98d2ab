"""Arguments in XML-like parameters: text is read incrementally, JSON when it is complete."""

import json

import pytest

from friendli_endpoint.chat.tools import ToolSpec
from friendli_endpoint.chat.tools.arguments import Read
from friendli_endpoint.chat.tools.form import Form, Space, Word
from friendli_endpoint.chat.tools.xml import XmlArguments, XmlSyntax, raw_names

LINES = XmlSyntax(Form(Space(), "<p=", Word(frozenset("<>")), ">"), "</p>", Form("</f>"), True)
INLINE = XmlSyntax(Form(Space(), "<p=", Word(frozenset("<>")), ">"), "</p>", Form("</f>"), False)
RAW = {"text": True, "number": False}


def read(text: str, syntax: XmlSyntax = LINES) -> str:
    """Returns the arguments of a text; checks that they are the same character by character."""
    whole = XmlArguments(syntax, RAW).read(text)
    assert whole.ended and whole.consumed == len(text)
    arguments, held, written = XmlArguments(syntax, RAW), "", ""
    for character in text:
        held += character
        part = arguments.read(held)
        held, written = held[part.consumed :], written + part.fragment
        assert not part.broken
    assert (held, written) == ("", whole.fragment)
    return whole.fragment


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("\na\n", "a"),
        ("a", "a"),
        ("\n\n", ""),
        ("\n", ""),
        ("", ""),
        ("\n\na\n\n", "\na\n"),
        ("\n a \n", " a "),
        ('\n"a"\\n\n', '"a"\\n'),
        ("\n</p\n", "</p"),
        ("\n<p=text>\n", "<p=text>"),
        ("\n\n<\n/p>\n", "\n<\n/p>"),
    ],
)
def test_text_on_its_own_lines_loses_one_newline_on_each_side(written: str, value: str) -> None:
    assert json.loads(read(f"<p=text>{written}</p></f>")) == {"text": value}


@pytest.mark.parametrize("value", ["", "\n", "\na\n", " a ", "</p", "</f>"])
def test_inline_text_is_unchanged(value: str) -> None:
    assert json.loads(read(f"<p=text>{value}</p></f>", INLINE)) == {"text": value}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("\n[1, 2]\n", "[1,2]"),
        (" 12 ", "12"),
        ('{"a": "</p>"}', '{"a":"</p>"}'),
        ("three", '"three"'),
        ("True", "true"),
        ("[1, 'x', {'a': None}]", '[1,"x",{"a":null}]'),
        ("[1", None),
        ("", '""'),
    ],
)
def test_other_values_are_json_or_literals_or_become_a_string(
    written: str, value: str | None
) -> None:
    for name in ("number", "unheard of"):
        text = f"<p={name}>{written}</p></f>"
        if value is None:
            assert not XmlArguments(LINES, RAW).read(text).ended, "a bracket hides the ending"
        else:
            assert read(text) == f'{{"{name}":{value}}}'


def test_no_parameters_are_an_empty_object() -> None:
    assert read("</f>") == "{}"


def test_text_is_output_incrementally_except_a_possible_ending() -> None:
    arguments = XmlArguments(LINES, RAW)
    assert arguments.read("<p=text>\nab\n") == Read(11, '{"text":"ab')
    assert arguments.read("\n</") == Read(0, "")
    assert arguments.read("\n</x") == Read(4, "\\n</x")
    assert arguments.read("</p>") == Read(4, '"')
    assert arguments.read("</f>") == Read(4, "}", ended=True)


def test_a_json_value_is_output_when_it_is_complete() -> None:
    arguments = XmlArguments(LINES, RAW)
    assert arguments.read("<p=number>[1") == Read(10, '{"number":')
    assert arguments.read("[1]</p") == Read(0, "")
    assert arguments.read("[1]</p><p=text>") == Read(15, '[1],"text":')


@pytest.mark.parametrize(
    ("text", "consumed", "fragment"),
    [
        ("12", 0, ""),
        ("<q=a>", 0, ""),
        ("<p=>", 0, ""),
        ("<p=text>a</p> and", 13, '{"text":"a"'),
    ],
)
def test_invalid_parameters_are_broken(text: str, consumed: int, fragment: str) -> None:
    assert XmlArguments(LINES, RAW).read(text) == Read(consumed, fragment, broken=True)


def test_raw_names_depend_on_the_schema() -> None:
    properties = {"a": {"type": "string"}, "b": {"enum": ["x"]}, "c": {"type": "integer"}}
    schema = {"type": "object", "properties": properties}
    assert raw_names(ToolSpec("f", None, schema)) == {"a": True, "b": True, "c": False}
    unsupported = ToolSpec("f", None, {**schema, "minProperties": 1})
    assert raw_names(unsupported) == {"a": False, "b": False, "c": False}
