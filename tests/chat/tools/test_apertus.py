"""Apertus: objects whose only key is a function's name, in a list between markers."""

import pytest

from friendli_endpoint.chat.tools.apertus import Apertus

from .cases import Reading, called, parsed

APERTUS = Apertus()
OPEN, CLOSE = "<|tools_prefix|>", "<|tools_suffix|>"
GET = '{"get": {"city": "x"}}'
READ = called("get", '{"city": "x"}')


def test_text_may_be_around_lists() -> None:
    calls = f'{OPEN}[ {GET} , {{"get" : {{"city": "x"}} }} ]{CLOSE}'
    assert parsed(APERTUS, f"A {calls} B {calls}") == Reading("A  B ", [READ] * 4)


def test_a_list_without_its_end_leaves_no_text() -> None:
    text = f"{OPEN}[{GET}]{CLOSE}"
    for end in range(text.index("}") + 1, len(text) + 1):
        assert parsed(APERTUS, text[:end]) == Reading("", [READ])


@pytest.mark.parametrize(
    "calls", ["[]", GET, '[{"put": {}}]', '[{"get": 1}]', '[{"name": "get", "arguments": {}}]']
)
def test_markers_without_a_list_of_known_calls_are_text(calls: str) -> None:
    text = f"{OPEN}{calls}{CLOSE}"
    assert parsed(APERTUS, text) == Reading(text, [])


def test_a_tool_may_have_the_name_of_a_key_in_other_formats() -> None:
    text = f'{OPEN}[{{"get_all": {{"get": {{"city": "x"}}}}}}]{CLOSE}'
    assert parsed(APERTUS, text) == Reading("", [called("get_all", '{"get": {"city": "x"}}')])
