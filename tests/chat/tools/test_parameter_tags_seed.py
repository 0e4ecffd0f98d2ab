"""Seed-OSS: tags like those of Qwen3-Coder, with each value on the line of its tags."""

import json
from typing import Any

import pytest

from friendli_endpoint.chat.tools import ToolSpec, family_named
from friendli_endpoint.chat.tools.lark import quoted
from friendli_endpoint.generation import RequestError

from .cases import Reading, called, parsed

SEED = family_named("seed")


def call(name: str, **parameters: str) -> str:
    written = "".join(
        f"<parameter={key}>{value}</parameter>\n" for key, value in parameters.items()
    )
    return f"<seed:tool_call>\n<function={name}>\n{written}</function>\n</seed:tool_call>"


GET = call("get", city="x")
READ = called("get", '{"city":"x"}')


def test_text_may_be_before_between_and_after_calls() -> None:
    assert parsed(SEED, f"A {GET} B {GET}\nC") == Reading("A  B \nC", [READ, READ])


def test_a_call_may_have_no_arguments() -> None:
    assert parsed(SEED, call("now.utc")) == Reading("", [called("now.utc", "{}")])


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("city", "\n two\nlines \n", "\n two\nlines \n"),
        ("city", "</function>\n</seed:tool_call>", "</function>\n</seed:tool_call>"),
        ("city", "12", "12"),
        ("days", "12", 12),
        ("days", "soon", "soon"),
        ("unheard_of", "True", True),
        ("unheard_of", "[1, 'x', {'a': None}]", [1, "x", {"a": None}]),
    ],
)
def test_the_schema_decides_whether_a_value_is_text_or_a_literal(
    key: str, written: str, value: Any
) -> None:
    (found,) = parsed(SEED, call("get", **{key: written})).calls
    assert found.ended and json.loads(found.arguments) == {key: value}


@pytest.mark.parametrize(
    "text",
    [call("put", city="x"), GET.removeprefix("<seed:tool_call>\n"), GET.replace("seed:", "")],
)
def test_an_invalid_or_unknown_call_is_text(text: str) -> None:
    assert parsed(SEED, text) == Reading(text, [])


@pytest.mark.parametrize("name", ["", "a<b", "a>b", "a\nb", "x" * 257])
def test_an_argument_name_that_a_tag_cannot_contain_is_unsupported(name: str) -> None:
    tool = ToolSpec("f", None, {"type": "object", "properties": {name: {}}})
    with pytest.raises(RequestError, match="is not supported in this model's tool-call format"):
        SEED.grammar([tool], required=True, parallel=False, marker=quoted)
