"""MiniCPM 5: a tag for the function and one for each argument, with long text in CDATA blocks."""

import json
from typing import Any

import pytest

from friendli_endpoint.chat.structured.json_schema import rewrite_schema
from friendli_endpoint.chat.tools import ToolSpec
from friendli_endpoint.chat.tools.lark import quoted
from friendli_endpoint.chat.tools.minicpm import MiniCpm
from friendli_endpoint.generation import RequestError

from .cases import Reading, called, parsed
from .walk import Walk, allowed, as_text, constraint

CPM = MiniCpm()


def call(name: str, **values: str) -> str:
    written = "".join(f'<param name="{key}">{value}</param>' for key, value in values.items())
    return f'<function name="{name}">{written}</function>'


GET = call("get", city="x")
READ = called("get", '{"city":"x"}')


def test_text_may_be_before_between_and_after_calls() -> None:
    assert parsed(CPM, f"A {GET} B {GET}\nC") == Reading("A  B \nC", [READ, READ])


def test_a_call_may_have_no_arguments() -> None:
    assert parsed(CPM, call("now.utc")) == Reading("", [called("now.utc", "{}")])


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("city", "<![CDATA[a </param> b\n]]>", "a </param> b\n"),
        ("city", "<![CDATA[]]>", ""),
        ("city", "<![CDATA[ ]] > ]]]>", " ]] > ]"),
        ("city", "a <b>", "a <b>"),
        ("city", "<![CDAT[x]]>", "<![CDAT[x]]>"),
        ("days", "3", 3),
        ("days", "<![CDATA[3]]>", 3),
        ("unheard_of", "[1, 'x']", [1, "x"]),
    ],
)
def test_text_may_be_in_a_block(key: str, written: str, value: Any) -> None:
    (found,) = parsed(CPM, call("get", **{key: written})).calls
    assert found.ended and json.loads(found.arguments) == {key: value}


@pytest.mark.parametrize("text", [call("put", city="x"), GET.replace('"get"', "get"), "<function"])
def test_an_invalid_or_unknown_call_is_text(text: str) -> None:
    assert parsed(CPM, text) == Reading(text, [])


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"type": "string"}, ["", "a b", "<![CDATA[<a>\n]]>"], ["a<b", "a\nb", "a&b"]),
        ({"type": "string", "maxLength": 2}, ["<![CDATA[ab]]>"], ["ab", "<![CDATA[abc]]>"]),
        ({"enum": ["a", "b c"]}, ["b c"], ["<![CDATA[a]]>", "c"]),
        ({"enum": ["a", "<b>"]}, ["<![CDATA[<b>]]>"], ["<b>"]),
        ({"type": "boolean"}, ["true"], ["True", '"true"']),
    ],
)
def test_the_grammar_allows_the_values_of_a_schema_and_no_others(
    schema: dict[str, Any], valid: list[str], invalid: list[str]
) -> None:
    root = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
    spec = ToolSpec("f", None, rewrite_schema(root, "p").root)

    def accepts(value: str) -> bool:
        walk = Walk(constraint(CPM, [spec], as_text, required=True, parallel=False))
        for token in call("f", x=value).encode():
            if walk.ended or token not in allowed(walk.state):
                return False
            walk.append(token)
        return True

    assert [accepts(value) for value in valid] == [True] * len(valid)
    assert [accepts(value) for value in invalid] == [False] * len(invalid)


@pytest.mark.parametrize("name", ["", "a<b", 'a"b', "a\nb", "x" * 257])
def test_an_argument_name_that_a_tag_cannot_contain_is_unsupported(name: str) -> None:
    tool = ToolSpec("f", None, {"type": "object", "properties": {name: {}}})
    with pytest.raises(RequestError, match="is not supported in this model's tool-call format"):
        CPM.grammar([tool], required=True, parallel=False, marker=quoted)
