"""Llama 3: an answer that begins with the object of a known tool is a call."""

import pytest

from friendli_endpoint.chat.tools.llama3 import Llama3

from .cases import TOOLS, Reading, called, parsed
from .walk import Walk, allowed, as_text, constraint

LLAMA = Llama3()
TAG = "<|python_tag|>"


def call(name: str, arguments: str, key: str = "parameters") -> str:
    return f'{{"name": "{name}", "{key}": {arguments}}}'


GET = call("get", '{"city": "x"}')
READ = called("get", '{"city": "x"}')


@pytest.mark.parametrize("before", ["", "\n ", TAG, f"\n{TAG} "])
@pytest.mark.parametrize("key", ["parameters", "arguments"])
def test_an_output_may_begin_with_a_call(before: str, key: str) -> None:
    assert parsed(LLAMA, before + call("get", '{"city": "x"}', key)) == Reading("", [READ])


def test_an_object_in_text_is_a_call_only_with_the_tag() -> None:
    assert parsed(LLAMA, f"As JSON: {GET}") == Reading(f"As JSON: {GET}", [])
    assert parsed(LLAMA, f"As a call: {TAG}{GET}") == Reading("As a call: ", [READ])


@pytest.mark.parametrize("between", ["", "; ", ";", "\n;\n", "\n", TAG, f" {TAG} "])
def test_calls_may_follow_one_another(between: str) -> None:
    assert parsed(LLAMA, f"{GET}{between}{GET}") == Reading("", [READ, READ])


def test_text_after_a_call_is_text() -> None:
    assert parsed(LLAMA, f"{GET}\nDone; {GET}") == Reading(f"\nDone; {GET}", [READ])


@pytest.mark.parametrize(
    "text",
    [
        call("put", "{}"),
        call("get", "[]"),
        '{"parameters": {}, "name": "get"}',
        '{"name": "get"}',
        f"[{GET}]",
        f"{TAG}print(1)",
        f"{TAG}{call('put', '{}')}",
        "{",
    ],
)
def test_an_invalid_or_unknown_call_is_text(text: str) -> None:
    assert parsed(LLAMA, text) == Reading(text, [])


def test_arguments_may_contain_the_tag_and_calls() -> None:
    arguments = '{"city": "; {\\"name\\": \\"get\\"}<|python_tag|>", "days": 1}'
    assert parsed(LLAMA, call("get", arguments)) == Reading("", [called("get", arguments)])


def test_a_missing_last_brace_leaves_no_text() -> None:
    assert parsed(LLAMA, GET[:-1]) == parsed(LLAMA, GET[:-1] + "\n") == Reading("", [READ])


def test_text_may_not_begin_like_the_object_of_a_tool() -> None:
    """The grammar enforces the schema for any white space in the beginning."""
    for opening in ('{"name": "get", ', '\n{ "name" :"get" , '):
        walk = Walk(constraint(LLAMA, TOOLS, as_text, required=False, parallel=True))
        walk.write(opening)
        walk.write('"parameters": {"city": "')
    walk = Walk(constraint(LLAMA, TOOLS, as_text, required=False, parallel=True))
    walk.write('{"name": "get"')
    assert ord("}") not in allowed(walk.state), "as text, it could end here"
    walk = Walk(constraint(LLAMA, TOOLS, as_text, required=False, parallel=True))
    walk.write('{"name": "gets", "x": 1} and so on')


@pytest.mark.parametrize("header", ["<|start_header_id|>", "<|header_start|>"])
def test_templates_are_recognised_by_the_tag_or_headers_with_an_object(header: str) -> None:
    written = '{"name": NAME, "parameters": {}}'
    assert LLAMA.recognises(TAG + written) and LLAMA.recognises(header + written)
    assert not any(map(LLAMA.recognises, (TAG, header, written, f'{header} "parameters": ')))
