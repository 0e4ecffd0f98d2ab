"""Hermes: JSON objects between tags, anywhere in the text."""

import pytest

from friendli_endpoint.chat.tools.hermes import Hermes

from .cases import Reading, called, parsed

HERMES = Hermes()


def call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


GET = call("get", '{"city": "Rome"}')
READ = called("get", '{"city": "Rome"}')


def test_text_may_be_before_between_and_after_calls() -> None:
    text = f"First{GET}\nand then {GET}\nDone."
    assert parsed(HERMES, text) == Reading("First\nand then \nDone.", [READ, READ])


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name":"get","arguments":{"city": "Rome"}}</tool_call>',
        '<tool_call>\n\n{ "name": "get",\n"arguments": {"city": "Rome"} \n}\n\n</tool_call>\n\n',
    ],
)
def test_white_space_around_the_parts_of_a_call_is_ignored(text: str) -> None:
    assert parsed(HERMES, text) == Reading("", [READ])


def test_arguments_may_contain_text_like_a_call() -> None:
    arguments = '{"city": "</tool_call><tool_call>{\\"name\\": \\"get\\", \\"arguments\\": {}}"}'
    assert parsed(HERMES, call("get", arguments)) == Reading("", [called("get", arguments)])


def test_names_may_share_a_prefix() -> None:
    arguments = '{"where": {"name": "x"}, "exact": true}'
    text = call("get_all", arguments) + "\n" + call("now.utc", "{}")
    calls = [called("get_all", arguments), called("now.utc", "{}")]
    assert parsed(HERMES, text) == Reading("", calls)


@pytest.mark.parametrize(
    "text",
    [
        call("gets", "{}"),
        call("GET", "{}"),
        call("get", "null"),
        call("get", '"{}"'),
        '<tool_call>\n{"arguments": {}, "name": "get"}\n</tool_call>',
        '<tool_call>\n[{"name": "get", "arguments": {}}]\n</tool_call>',
        "Write <tool_call> and </tool_call>.",
        '{"name": "get", "arguments": {}}',
    ],
)
def test_an_invalid_or_unknown_call_is_text(text: str) -> None:
    assert parsed(HERMES, text) == Reading(text, [])


def test_a_call_after_one_of_an_unknown_tool_is_read() -> None:
    unknown = call("put", "{}") + "\n"
    assert parsed(HERMES, unknown + GET) == Reading(unknown, [READ])


@pytest.mark.parametrize("closing", ["", "}", "}\n", "}\n</tool_", "\n}"])
def test_a_call_with_a_truncated_closing_tag_is_complete(closing: str) -> None:
    text = GET.removesuffix("}\n</tool_call>") + closing
    assert parsed(HERMES, text) == Reading("", [READ])


def test_a_call_truncated_in_its_arguments_has_not_ended() -> None:
    text = GET[: GET.index('me"}')]
    assert parsed(HERMES, text) == Reading("", [called("get", '{"city": "Ro', ended=False)])


def test_the_rest_after_an_unclosed_call_is_text() -> None:
    text = GET.removesuffix("</tool_call>") + "Done."
    assert parsed(HERMES, text) == Reading("}\nDone.", [READ])
