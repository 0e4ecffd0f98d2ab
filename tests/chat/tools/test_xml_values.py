"""Values between tags: the grammar, and the parsing of allowed values."""

from typing import Any

import pytest

from friendli_endpoint.chat.tools.fields import Field
from friendli_endpoint.chat.tools.lark import quoted
from friendli_endpoint.chat.tools.xml_values import ValueGrammar
from friendli_endpoint.generation import RequestError

from .one_value import STRING, XML, check_value, tool, written
from .walk import as_text, as_token


@pytest.mark.parametrize("name", XML)
@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (STRING, "a < b\n\n</b> \"q\" 'é' 12", "a < b\n\n</b> \"q\" 'é' 12"),
        (STRING, "", ""),
        (STRING, "true", "true"),
        ({"type": "string", "minLength": 2, "maxLength": 3}, "é1", "é1"),
        ({"enum": ["a", "ab"]}, "ab", "ab"),
        ({"$ref": "#/$defs/E"}, "b", "b"),
        ({"type": "string", "pattern": "^a+$"}, '"aa"', "aa"),
        ({"type": ["string", "null"]}, "null", None),
        ({"type": "integer"}, "12", 12),
        ({"type": "boolean"}, "true", True),
        ({"enum": [1, "a"]}, '"a"', "a"),
        ({"type": "array"}, '["</parameter></arg_value>", 1]', ["</parameter></arg_value>", 1]),
    ],
)
def test_a_value_that_the_grammar_allows_is_parsed(
    name: str, schema: dict[str, Any], text: str, value: Any
) -> None:
    check_value(name, schema, text, value)


@pytest.mark.parametrize("name", XML)
@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string", "minLength": 2, "maxLength": 3}, "é"),
        ({"type": "string", "minLength": 2, "maxLength": 3}, "éabc"),
        ({"enum": ["a", "ab"]}, "abc"),
        ({"type": "integer"}, '"1"'),
        ({"type": "string", "pattern": "^a+$"}, "aa"),
        ({"type": ["string", "null"]}, "text"),
    ],
)
def test_the_grammar_excludes_values_that_the_schema_forbids(
    name: str, schema: dict[str, Any], text: str
) -> None:
    assert written(name, tool(schema), text) is None


def field(schema: dict[str, Any]) -> Field:
    return Field("x", schema, required=True)


@pytest.mark.parametrize("listed", [["a", "b</end>c"], ["</end>"]])
def test_an_enum_value_that_contains_the_ending_is_unsupported(listed: list[str]) -> None:
    with pytest.raises(RequestError, match="values of x must not contain </end>") as caught:
        ValueGrammar("</end>", quoted, lines=True).of(field({"enum": listed}))
    assert (caught.value.param, caught.value.code) == ("tools", "unsupported_schema")


def test_texts_with_the_same_bounds_share_a_terminal() -> None:
    values = ValueGrammar("</end>", quoted, lines=False)
    short = {"type": "string", "maxLength": 5}
    assert values.of(field(short)) == values.of(field({**short, "title": "Other"}))
    assert values.of(field(STRING)) != values.of(field(short))
    assert len(values.terminals.splitlines()) == 2


def test_an_ending_that_is_a_token_is_in_the_rule_and_not_in_the_terminal() -> None:
    ending = "</arg_value>"
    values = ValueGrammar(ending, as_token, lines=False)
    assert values.of(field(STRING)).endswith(f" {as_token(ending)}")
    assert as_token(ending) not in values.terminals
    assert values.of(field({"enum": [""]})) == f"({as_token(ending)})"
    text = ValueGrammar(ending, as_text, lines=False)
    assert text.of(field(STRING)) in text.terminals
    assert text.of(field({"enum": [""]})) == f'("{ending}")'
