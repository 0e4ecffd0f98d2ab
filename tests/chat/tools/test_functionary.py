"""Functionary: v3 writes recipients, v3.1 writes function names in tags."""

import pytest

from friendli_endpoint.chat.tools import ToolSpec
from friendli_endpoint.chat.tools.functionary import FunctionaryRecipients, FunctionaryTags
from friendli_endpoint.chat.tools.lark import quoted
from friendli_endpoint.generation import RequestError

from .cases import TOOLS, Reading, called, parsed

TO, TAGS = FunctionaryRecipients(), FunctionaryTags()
READ = called("get", '{"city": "x"}')


@pytest.mark.parametrize("opening", ["", ">>>"])
def test_the_marker_of_the_first_recipient_is_optional(opening: str) -> None:
    assert parsed(TO, opening + 'get\n{"city": "x"}') == Reading("", [READ])
    assert parsed(TO, opening + "all\nHello") == Reading("Hello", [])


def test_text_and_calls_may_alternate() -> None:
    text = 'all\nHello >>>get\n{"city": "x"}\n>>>all\nDone.\n>>>now.utc\n{}'
    calls = [READ, called("now.utc", "{}")]
    assert parsed(TO, text) == Reading("Hello Done.\n", calls)


@pytest.mark.parametrize(
    "text",
    [
        "a >>> b",
        "use >>>get now",
        ">>>get",
        ">>>get\nwith this",
        ">>>put\n{}",
        ">>>gets\n{}",
        ">>>all the way",
        ">>",
    ],
)
def test_the_marker_without_a_recipient_is_text(text: str) -> None:
    assert parsed(TO, "all\n" + text) == Reading(text, [])


def test_an_output_without_a_recipient_is_text() -> None:
    for text in ("Hello", "allx\n", "get {}", "all"):
        assert parsed(TO, text) == Reading(text, [])


def test_arguments_may_contain_the_marker() -> None:
    arguments = '{"city": ">>>all\\n>>>get\\n{}"}'
    assert parsed(TO, "get\n" + arguments) == Reading("", [called("get", arguments)])


def test_a_tool_named_all_is_rejected() -> None:
    tools = [*TOOLS, ToolSpec("all", None, {"type": "object"})]
    with pytest.raises(RequestError, match="must not be named 'all'") as caught:
        TO.grammar(tools, required=False, parallel=True, marker=quoted)
    assert (caught.value.param, caught.value.code) == ("tools", "not_supported")
    assert TAGS.grammar(tools, required=False, parallel=True, marker=quoted)


def test_calls_in_tags_may_be_anywhere_in_text() -> None:
    call = '<function=get>{"city": "x"}</function>'
    text = f"First {call}\n{call}then {call}\n"
    assert parsed(TAGS, text) == Reading("First then ", [READ] * 3)


def test_arguments_in_tags_may_contain_tags() -> None:
    arguments = '{"city": "</function><function=get>{}"}'
    text = f"<function=get>{arguments}\n</function>"
    assert parsed(TAGS, text) == Reading("", [called("get", arguments)])


@pytest.mark.parametrize(
    "text",
    [
        "<function=get></function>",
        "<function=get>\n[]</function>",
        "<function=put>{}</function>",
        "<function=get >{}</function>",
        '<function name="get">{}</function>',
        "</function>",
    ],
)
def test_tags_without_a_valid_call_are_text(text: str) -> None:
    assert parsed(TAGS, text) == Reading(text, [])


def test_a_truncated_closing_tag_is_not_text() -> None:
    assert parsed(TAGS, '<function=get>{"city": "x"}</func') == Reading("", [READ])


def test_templates_with_parameter_tags_are_not_recognised() -> None:
    assert TAGS.recognises("<function=name>{}") and not TAGS.recognises("<function=n><parameter=p>")
    assert TO.recognises(">>>all\n") and not TO.recognises(">>>get\n")
