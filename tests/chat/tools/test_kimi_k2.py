"""Kimi K2: a section of calls between marker tokens."""

import pytest

from friendli_endpoint.chat.tools.kimi_k2 import KimiK2

from .cases import Reading, called, parsed

KIMI = KimiK2()
BEGIN, END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
READ = called("get", '{"city": "x"}')


def call(identity: str, arguments: str = '{"city": "x"}') -> str:
    return f"<|tool_call_begin|>{identity}<|tool_call_argument_begin|>{arguments}<|tool_call_end|>"


@pytest.mark.parametrize("index", ["0", "7", "123"])
def test_the_index_of_a_call_may_be_any_number(index: str) -> None:
    text = f"{BEGIN}{call(f'functions.get:{index}')}{END}"
    assert parsed(KIMI, text) == Reading("", [READ])


def test_white_space_between_markers_is_not_text() -> None:
    spaced = f"\n{BEGIN}\n" + call(" functions.get:0 ", " {} ").replace(">", "> ") + f"\n{END}\n"
    assert parsed(KIMI, spaced) == Reading("", [called("get", "{}")])


def test_text_may_be_before_and_after_a_section() -> None:
    text = f"A {BEGIN}{call('functions.get:0')}{call('functions.get:1')}{END} B"
    assert parsed(KIMI, text) == Reading("A  B", [READ, READ])


@pytest.mark.parametrize("identity", ["get:0", "functions.get", "functions.get:x", "call_1"])
def test_an_id_without_a_name_and_a_number_is_text(identity: str) -> None:
    text = f"{BEGIN}{call(identity)}{END}"
    assert parsed(KIMI, text) == Reading(text, [])


def test_templates_with_sections_are_recognised() -> None:
    assert KIMI.recognises(BEGIN) and not KIMI.recognises("<|tool_call_begin|>")
