"""Functionary: v3 addresses parts of its answer to recipients, v3.1 names functions in tags."""

import pytest

from friendli_endpoint.chat.tools import ToolSpec
from friendli_endpoint.chat.tools.functionary import FunctionaryRecipients, FunctionaryTags
from friendli_endpoint.chat.tools.lark import quoted
from friendli_endpoint.generation import RequestError

from .cases import TOOLS, Reading, called, parsed

TO, TAGS = FunctionaryRecipients(), FunctionaryTags()
READ = called("get", '{"city": "x"}')


@pytest.mark.parametrize("opening", ["", ">>>"])
def test_the_first_recipient_may_be_addressed_by_the_prompt(opening: str) -> None:
    assert parsed(TO, opening + 'get\n{"city": "x"}') == Reading("", [READ])
    assert parsed(TO, opening + "all\nHello") == Reading("Hello", [])


def test_the_user_and_functions_may_be_addressed_in_turn() -> None:
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
def test_the_sign_means_nothing_where_no_recipient_follows(text: str) -> None:
    assert parsed(TO, "all\n" + text) == Reading(text, [])


def test_an_output_without_a_recipient_is_text() -> None:
    for text in ("Hello", "allx\n", "get {}", "all"):
        assert parsed(TO, text) == Reading(text, [])


def test_arguments_may_hold_the_sign_of_a_recipient() -> None:
    arguments = '{"city": ">>>all\\n>>>get\\n{}"}'
    assert parsed(TO, "get\n" + arguments) == Reading("", [called("get", arguments)])


def test_a_tool_cannot_have_the_name_of_the_user() -> None:
    tools = [*TOOLS, ToolSpec("all", None, {"type": "object"})]
    with pytest.raises(RequestError, match="cannot be called 'all'") as caught:
        TO.grammar(tools, required=False, parallel=True, marker=quoted)
    assert (caught.value.param, caught.value.code) == ("tools", "not_supported")
    assert TAGS.grammar(tools, required=False, parallel=True, marker=quoted)


def test_calls_in_tags_may_stand_anywhere_in_text() -> None:
    one = '<function=get>{"city": "x"}</function>'
    text = f"First {one}\n{one}then {one}\n"
    assert parsed(TAGS, text) == Reading("First then ", [READ] * 3)


def test_arguments_in_tags_may_hold_tags() -> None:
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
def test_tags_that_make_no_call_stay_text(text: str) -> None:
    assert parsed(TAGS, text) == Reading(text, [])


def test_a_closing_tag_that_was_cut_off_is_no_text() -> None:
    assert parsed(TAGS, '<function=get>{"city": "x"}</func') == Reading("", [READ])


def test_templates_with_tags_of_parameters_are_of_another_family() -> None:
    assert TAGS.recognises("<function=name>{}") and not TAGS.recognises("<function=n><parameter=p>")
    assert TO.recognises(">>>all\n") and not TO.recognises(">>>get\n")
