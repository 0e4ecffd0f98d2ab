"""Mistral: a list of calls after a marker; in later models, markers for each call."""

import pytest

from friendli_endpoint.chat.tools.mistral import Mistral, MistralArgs

from .cases import TOOLS, Reading, called, parsed
from .walk import VOCABULARY, Walk, allowed, as_text, constraint

LIST, ARGS = Mistral(), MistralArgs()
READ = called("get", '{"city": "x"}')


def item(identity: str = "") -> str:
    return f'{{"name": "get", "arguments": {{"city": "x"}}{identity}}}'


@pytest.mark.parametrize(
    "identity",
    ["", ', "id": "abcDEF123"', ',"id":"1"', ' ,\n"id" : "a" ', ', "id": "' + "a" * 64 + '"'],
)
def test_the_id_of_a_call_is_optional(identity: str) -> None:
    text = f"[TOOL_CALLS][{item(identity)}, {item(identity)}]"
    assert parsed(LIST, text) == Reading("", [READ, READ])


@pytest.mark.parametrize("identity", [', "id": ""', ', "id": 3', ', "id": "a-b"', ', "x": "a"'])
def test_the_rest_after_an_invalid_id_is_text(identity: str) -> None:
    text = f"[TOOL_CALLS][{item(identity)}]"
    assert parsed(LIST, text) == Reading(f"{identity}}}]", [READ])


def test_text_may_be_before_between_and_after_lists() -> None:
    calls = f"[TOOL_CALLS] [ {item()} ]"
    assert parsed(LIST, f"A {calls} B {calls}\nC") == Reading("A  B \nC", [READ, READ])


@pytest.mark.parametrize("rest", ["", "}", "} ", ', "id": "abc'])
def test_a_list_truncated_after_arguments_leaves_no_text(rest: str) -> None:
    text = f"[TOOL_CALLS][{item()[:-1]}{rest}"
    assert parsed(LIST, text) == Reading("", [READ])


@pytest.mark.parametrize(
    "text",
    [
        f"[{item()}]",
        f"[TOOL_CALLS]{item()}",
        '[TOOL_CALLS][{"name": "put", "arguments": {}}]',
        "[TOOL_CALLS][]",
        "[TOOL_CALLS]",
        "[TOOL_",
    ],
)
def test_a_list_without_a_valid_call_is_text(text: str) -> None:
    assert parsed(LIST, text) == Reading(text, [])


def test_the_grammar_allows_only_ids_of_nine_characters() -> None:
    walk = Walk(constraint(LIST, TOOLS, as_text, required=True, parallel=False))
    walk.write(f'[TOOL_CALLS][{item()[:-1]}, "id": "abcDEF12')
    assert ord('"') not in allowed(walk.state) and ord("-") not in allowed(walk.state)
    walk.write('3"}]')
    assert walk.ended or allowed(walk.state) == [VOCABULARY.eos_id]


def test_each_call_has_its_own_markers() -> None:
    call = '[TOOL_CALLS]get[ARGS]{"city": "x"}'
    with_id = '[TOOL_CALLS] get[CALL_ID]abcDEF123[ARGS] {"city": "x"}'
    text = f"A {call}{with_id}\n{call} B {call}"
    assert parsed(ARGS, text) == Reading("A  B ", [READ] * 4)


def test_arguments_may_contain_markers() -> None:
    arguments = '{"city": "[TOOL_CALLS]get[ARGS]{}"}'
    calls = [called("get", arguments)]
    assert parsed(ARGS, f"[TOOL_CALLS]get[ARGS]{arguments}") == Reading("", calls)
    text = f'[TOOL_CALLS][{{"name": "get", "arguments": {arguments}}}]'
    assert parsed(LIST, text) == Reading("", calls)


@pytest.mark.parametrize(
    "text",
    [
        "[TOOL_CALLS]get{}",
        "[TOOL_CALLS]get[ARGS]null",
        "[TOOL_CALLS]put[ARGS]{}",
        "[TOOL_CALLS]get[CALL_ID][ARGS]{}",
        "[TOOL_CALLS]get[CALL_ID]a b[ARGS]{}",
        "get[ARGS]{}",
        f"[TOOL_CALLS][{item()}]",
    ],
)
def test_markers_without_a_valid_call_are_text(text: str) -> None:
    assert parsed(ARGS, text) == Reading(text, [])
