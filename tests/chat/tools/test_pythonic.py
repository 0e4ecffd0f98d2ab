"""Calls as a Python list: bare at the beginning of an answer, or between markers."""

import json

import pytest

from friendli_endpoint.chat.tools.pythonic import BarePythonic, MarkedPythonic

from .cases import TOOLS, Reading, called, parsed
from .walk import Walk, allowed, as_text, constraint

BARE, MARKED = BarePythonic(), MarkedPythonic()
START, END = "<|tool_call_start|>", "<|tool_call_end|>"
PYTHON, PYTHON_END = "<|python_start|>", "<|python_end|>"
READ, NOW = called("get", '{"city":"x"}'), called("now.utc", "{}")


@pytest.mark.parametrize("before", ["", " \n"])
def test_an_answer_may_begin_with_a_list(before: str) -> None:
    text = f"{before}[get(city='x'),\n now.utc( ) ]\nDone."
    assert parsed(BARE, text) == Reading("\nDone.", [READ, NOW])


def test_a_bare_list_in_text_is_a_call_only_with_markers() -> None:
    text = "Call [get(city='x')]"
    assert parsed(BARE, text) == Reading(text, [])
    text = f"So: {PYTHON}[get(city='x')]{PYTHON_END} and {PYTHON} [now.utc()]{PYTHON_END}"
    assert parsed(BARE, text) == Reading("So:  and ", [READ, NOW])


def test_marked_lists_may_be_anywhere() -> None:
    text = f"A {START}[get(city='x'), now.utc()]{END} B {START} [now.utc()] {END}\nC"
    assert parsed(MARKED, text) == Reading("A  B \nC", [READ, NOW, NOW])
    assert parsed(MARKED, "[now.utc()]") == Reading("[now.utc()]", [])


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ("city='a, b)]'", {"city": "a, b)]"}),
        ('city="it\'s \\"so\\""', {"city": 'it\'s "so"'}),
        ("city='x', days=3,unit = \"C or F\"", {"city": "x", "days": 3, "unit": "C or F"}),
        ("city='[now.utc()]', days=-1", {"city": "[now.utc()]", "days": -1}),
        ("city={'a': (1, [None])}", {"city": {"a": [1, [None]]}}),
        ("city=Rome", {"city": "Rome"}),
    ],
)
def test_keyword_arguments_are_converted_to_json(written: str, arguments: object) -> None:
    for family, text in (
        (BARE, f"[get({written})]"),
        (MARKED, f"{START}[get({written})]{END}"),
    ):
        result = parsed(family, text)
        assert result.text == "" and result.calls[0].ended
        assert [json.loads(call.arguments) for call in result.calls] == [arguments]


@pytest.mark.parametrize(
    "text",
    [
        "get(city='x')",
        "[put(city='x')]",
        "[gets()]",
        "[get]",
        "[get (city='x')]",
        "[]",
        '["get(city=1)"]',
        "[1, 2, 3]",
    ],
)
def test_an_invalid_list_of_calls_is_text(text: str) -> None:
    assert parsed(BARE, text) == Reading(text, [])
    assert parsed(MARKED, START + text + END) == Reading(START + text + END, [])


def test_the_rest_of_a_list_after_a_known_call_may_be_text() -> None:
    assert parsed(BARE, "[now.utc(), put()]") == Reading(", put()]", [NOW])
    assert parsed(BARE, "[now.utc(); x") == Reading("; x", [NOW])


def test_an_argument_without_a_name_aborts_the_call() -> None:
    broken = called("get", "", ended=False)
    assert parsed(BARE, "[get('x')]") == Reading("'x')]", [broken])


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("[get(", ""),
        ("[get(city=", '{"city":'),
        ("[get(city='x', da", '{"city":"x"'),
        ("[get(city='x', days=3", '{"city":"x","days":'),
    ],
)
def test_a_truncated_call_has_its_complete_arguments(text: str, arguments: str) -> None:
    written = [call.arguments for call in parsed(BARE, text).calls]
    assert len(written) == 1 and arguments.startswith(written[0])
    assert not parsed(BARE, text).calls[0].ended and parsed(BARE, text).text == ""


def test_a_list_with_a_truncated_end_leaves_no_text() -> None:
    assert parsed(BARE, "[now.utc()") == Reading("", [NOW])
    for rest in ("", " ", "]", "]<|tool_call_"):
        assert parsed(MARKED, f"{START}[now.utc(){rest}") == Reading("", [NOW])


def test_text_may_not_begin_like_a_list_of_calls() -> None:
    walk = Walk(constraint(BARE, TOOLS, as_text, required=False, parallel=True))
    walk.write(" [now.utc(")
    assert allowed(walk.state) == [ord(")")]
    walk = Walk(constraint(BARE, TOOLS, as_text, required=False, parallel=True))
    walk.write("[now.utc is a function, get(x) another]")


def test_templates_of_llama_4_are_recognised_unless_they_write_json() -> None:
    assert BARE.recognises("<|header_start|>") and BARE.recognises("[func_name1(a=1)]")
    assert not BARE.recognises('<|header_start|> "parameters": ')
    assert MARKED.recognises(START) and not MARKED.recognises(END)
