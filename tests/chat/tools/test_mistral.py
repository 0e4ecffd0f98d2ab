"""Mistral: a list of calls behind a marker; in later models, markers for every call."""

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
def test_a_call_may_have_an_id_or_none(identity: str) -> None:
    text = f"[TOOL_CALLS][{item(identity)}, {item(identity)}]"
    assert parsed(LIST, text) == Reading("", [READ, READ])


@pytest.mark.parametrize("identity", [', "id": ""', ', "id": 3', ', "id": "a-b"', ', "x": "a"'])
def test_what_is_no_id_leaves_the_rest_as_text(identity: str) -> None:
    text = f"[TOOL_CALLS][{item(identity)}]"
    assert parsed(LIST, text) == Reading(f"{identity}}}]", [READ])


def test_text_may_stand_before_between_and_behind_lists() -> None:
    one = f"[TOOL_CALLS] [ {item()} ]"
    assert parsed(LIST, f"A {one} B {one}\nC") == Reading("A  B \nC", [READ, READ])


@pytest.mark.parametrize("rest", ["", "}", "} ", ', "id": "abc'])
def test_a_list_that_was_cut_off_behind_arguments_leaves_no_text(rest: str) -> None:
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
def test_a_list_without_a_call_stays_text(text: str) -> None:
    assert parsed(LIST, text) == Reading(text, [])


def test_ids_are_written_with_nine_characters() -> None:
    walk = Walk(constraint(LIST, TOOLS, as_text, required=True, parallel=False))
    walk.write(f'[TOOL_CALLS][{item()[:-1]}, "id": "abcDEF12')
    assert ord('"') not in allowed(walk.state) and ord("-") not in allowed(walk.state)
    walk.write('3"}]')
    assert walk.ended or allowed(walk.state) == [VOCABULARY.eos_id]


def test_each_call_has_markers_of_its_own() -> None:
    one = '[TOOL_CALLS]get[ARGS]{"city": "x"}'
    with_id = '[TOOL_CALLS] get[CALL_ID]abcDEF123[ARGS] {"city": "x"}'
    text = f"A {one}{with_id}\n{one} B {one}"
    assert parsed(ARGS, text) == Reading("A  B ", [READ] * 4)


def test_arguments_may_hold_markers() -> None:
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
def test_markers_that_make_no_call_stay_text(text: str) -> None:
    assert parsed(ARGS, text) == Reading(text, [])
