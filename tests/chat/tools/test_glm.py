"""GLM: a name, then pairs of keys and values in tags."""

import json
from typing import Any

import pytest

from friendli_endpoint.chat.tools import ToolSpec
from friendli_endpoint.chat.tools.glm import Glm
from friendli_endpoint.chat.tools.lark import quoted
from friendli_endpoint.generation import RequestError

from .cases import Reading, called, parsed

GLM = Glm()


def call(name: str, *pairs: tuple[str, str], line: str = "\n") -> str:
    written = "".join(
        f"<arg_key>{key}</arg_key>{line}<arg_value>{value}</arg_value>{line}"
        for key, value in pairs
    )
    return f"<tool_call>{name}{line}{written}</tool_call>"


GET = call("get", ("city", "x"))
READ = called("get", '{"city":"x"}')


@pytest.mark.parametrize("line", ["", "\n", "\n\n", " "])
def test_keys_and_values_may_be_on_separate_lines(line: str) -> None:
    text = call("get", ("city", "x"), ("days", "3"), line=line)
    assert parsed(GLM, text) == Reading("", [called("get", '{"city":"x","days":3}')])


def test_a_call_may_have_no_arguments() -> None:
    assert parsed(GLM, call("now.utc")) == Reading("", [called("now.utc", "{}")])


def test_text_may_be_before_between_and_after_calls() -> None:
    assert parsed(GLM, f"A {GET} B {GET}\nC") == Reading("A  B \nC", [READ, READ])


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("city", '</tool_call>\n<arg_key>"x"</arg_key>', '</tool_call>\n<arg_key>"x"</arg_key>'),
        ("city", "\n x \n", "\n x \n"),
        ("city", "12", "12"),
        ("days", " 12\n", 12),
        ("days", "soon", "soon"),
        ("unit", "C or F", "C or F"),
        ("unheard of", '["</arg_value>"]', ["</arg_value>"]),
        ("unheard of", "plain text", "plain text"),
    ],
)
def test_the_schema_decides_whether_a_value_is_text_or_json(
    key: str, written: str, value: Any
) -> None:
    (found,) = parsed(GLM, call("get", (key, written))).calls
    assert found.ended and json.loads(found.arguments) == {key: value}


def test_nested_values_are_json() -> None:
    where = {"name": "</arg_value>", "at": [1, -2.5]}
    text = call("get_all", ("where", json.dumps(where)), ("exact", "true"))
    (found,) = parsed(GLM, text).calls
    assert json.loads(found.arguments) == {"where": where, "exact": True}


@pytest.mark.parametrize(
    "text",
    [
        call("put", ("city", "x")),
        call("gets"),
        "<tool_call>get",
        "<tool_call>get and so on</tool_call>",
        "<arg_key>city</arg_key><arg_value>x</arg_value>",
        "<tool_call></tool_call>",
    ],
)
def test_an_invalid_or_unknown_call_is_text(text: str) -> None:
    assert parsed(GLM, text) == Reading(text, [])


def test_a_truncated_value_is_passed_on() -> None:
    text = GET[: GET.index("</arg_value>") + 5]
    assert parsed(GLM, text) == Reading("", [called("get", '{"city":"x', ended=False)])


def test_text_between_arguments_aborts_the_call() -> None:
    text = GET.replace("\n</tool_call>", " well\n</tool_call>")
    broken = called("get", '{"city":"x"', ended=False)
    assert parsed(GLM, text) == Reading(" well\n</tool_call>", [broken])


@pytest.mark.parametrize("name", ["", "a<b", "a>b", "a\nb", "x" * 257])
def test_an_argument_name_that_a_key_cannot_contain_is_unsupported(name: str) -> None:
    tool = ToolSpec("f", None, {"type": "object", "properties": {name: {}}})
    with pytest.raises(RequestError, match="is not supported in this model's tool-call format"):
        GLM.grammar([tool], required=True, parallel=False, marker=quoted)
