"""Qwen3-Coder: a tag for the call, one for the function, and one for each parameter."""

import json
from typing import Any

import pytest

from friendli_endpoint.chat.tools import ToolSpec, family_named
from friendli_endpoint.chat.tools.lark import quoted
from friendli_endpoint.generation import RequestError

from .cases import Reading, called, parsed

QWEN = family_named("qwen_coder")


def call(name: str, **parameters: str) -> str:
    written = "".join(
        f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in parameters.items()
    )
    return f"<tool_call>\n<function={name}>\n{written}</function>\n</tool_call>"


GET = call("get", city="x")
READ = called("get", '{"city":"x"}')


def test_text_may_be_before_between_and_after_calls() -> None:
    assert parsed(QWEN, f"A {GET} B {GET}\nC") == Reading("A  B \nC", [READ, READ])


def test_a_call_may_be_on_one_line() -> None:
    text = GET.replace("\n", "")
    assert parsed(QWEN, text + text) == Reading("", [READ, READ])


def test_a_call_may_have_no_arguments() -> None:
    assert parsed(QWEN, call("now.utc")) == Reading("", [called("now.utc", "{}")])


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        (
            "city",
            "</function>\n</tool_call>\n<parameter=days>",
            "</function>\n</tool_call>\n<parameter=days>",
        ),
        ("city", "\nline\n\n", "\nline\n\n"),
        ("city", "def f():\n    return {}", "def f():\n    return {}"),
        ("city", "null", "null"),
        ("days", "12", 12),
        ("days", "soon", "soon"),
        ("unheard_of", '{"a": "</parameter>"}', {"a": "</parameter>"}),
    ],
)
def test_the_schema_decides_whether_a_value_is_text_or_json(
    key: str, written: str, value: Any
) -> None:
    (found,) = parsed(QWEN, call("get", **{key: written})).calls
    assert found.ended and json.loads(found.arguments) == {key: value}


@pytest.mark.parametrize(
    "text",
    [
        call("put", city="x"),
        GET.removeprefix("<tool_call>\n"),
        GET.replace("<function=get>", "<function= get>"),
        GET.replace("<function=get>", "<function=get"),
        "<tool_call>\n</tool_call>",
    ],
)
def test_an_invalid_or_unknown_call_is_text(text: str) -> None:
    assert parsed(QWEN, text) == Reading(text, [])


def test_a_call_is_complete_with_its_function_tag() -> None:
    text = GET.removesuffix("\n</tool_call>")
    assert parsed(QWEN, text) == parsed(QWEN, text + "\n</tool") == Reading("", [READ])
    assert parsed(QWEN, text + "\nDone.") == Reading("\nDone.", [READ])


def test_a_truncated_value_is_passed_on() -> None:
    for end in ("\n", "\n</para"):
        text = GET[: GET.index("\n</parameter>")] + end
        assert parsed(QWEN, text) == Reading("", [called("get", '{"city":"x', ended=False)])


def test_text_between_parameters_aborts_the_call() -> None:
    text = GET.replace("</parameter>\n", "</parameter> well ")
    broken = called("get", '{"city":"x"', ended=False)
    assert parsed(QWEN, text) == Reading(" well </function>\n</tool_call>", [broken])


@pytest.mark.parametrize("name", ["", "a<b", "a>b", "a\nb", "x" * 257])
def test_an_argument_name_that_a_tag_cannot_contain_is_unsupported(name: str) -> None:
    tool = ToolSpec("f", None, {"type": "object", "properties": {name: {}}})
    with pytest.raises(RequestError, match="is not supported in this model's tool-call format"):
        QWEN.grammar([tool], required=True, parallel=False, marker=quoted)


@pytest.mark.parametrize("between", ["", "\n", "\\n", "' + '"])
def test_only_templates_with_all_tags_are_recognised(between: str) -> None:
    assert QWEN.recognises(f"<tool_call>{between}<function=f>\n<parameter=p>")
    assert not QWEN.recognises(f"<seed:tool_call>{between}<function=f>\n<parameter=p>")
    assert not QWEN.recognises(f"<tool_call>{between}<function=f>")
