"""Calls as one JSON list after a marker, in every family that writes them so."""

import pytest

from friendli_endpoint.chat.tools.granite import GRANITE
from friendli_endpoint.chat.tools.json_list import JsonList
from friendli_endpoint.chat.tools.nemotron import NEMOTRON
from friendli_endpoint.chat.tools.phi4 import Phi4
from friendli_endpoint.chat.tools.tool_calls import TOOL_CALLS

from .cases import TOOLS, Reading, called, parsed
from .walk import VOCABULARY, Walk, allowed, as_text, as_token, constraint

PHI = Phi4()
FORMS = [
    (GRANITE, "<|tool_call|>", ""),
    (PHI, "<|tool_call|>", "<|/tool_call|>"),
    (NEMOTRON, "<TOOLCALL>", "</TOOLCALL>"),
    (TOOL_CALLS, "<tool_calls>", "</tool_calls>"),
]
all_forms = pytest.mark.parametrize(
    ("family", "opening", "closing"), FORMS, ids=[family.name for family, _, _ in FORMS]
)
GET = '{"name": "get", "arguments": {"city": "x"}}'
READ = called("get", '{"city": "x"}')


@all_forms
def test_text_may_be_around_lists(family: JsonList, opening: str, closing: str) -> None:
    calls = f"{opening} [ {GET},\n{GET} ] {closing}"
    assert parsed(family, f"A {calls} B {calls}") == Reading(
        "A  B " if closing else "A   B ", [READ] * 4
    )


@all_forms
def test_a_list_without_its_end_leaves_no_text(
    family: JsonList, opening: str, closing: str
) -> None:
    text = f"{opening}[{GET}]{closing}"
    for end in range(text.index("}") + 1, len(text) + 1):
        assert parsed(family, text[:end]) == Reading("", [READ])


@all_forms
@pytest.mark.parametrize("identity", ['"1"', '"call_a-B"', '"' + "a" * 64 + '"'])
def test_an_id_in_a_call_is_read_over(
    family: JsonList, opening: str, closing: str, identity: str
) -> None:
    with_id = f'{GET[:-1]}, "id": {identity}}}'
    text = f"{opening}[{with_id}, {with_id}]{closing}"
    assert parsed(family, text) == Reading("", [READ, READ])


@all_forms
@pytest.mark.parametrize("calls", ["[]", GET, '[{"name": "put", "arguments": {}}]', "[get()]", "["])
def test_a_marker_without_a_list_of_known_calls_is_text(
    family: JsonList, opening: str, closing: str, calls: str
) -> None:
    text = f"{opening}{calls}{closing}"
    assert parsed(family, text) == Reading(text, [])


def test_the_marker_of_hermes_opens_a_list_of_granite() -> None:
    assert parsed(GRANITE, f"A <tool_call>[{GET}]") == Reading("A ", [READ])
    assert parsed(GRANITE, f"<tool_call>{GET}</tool_call>").calls == []


@pytest.mark.parametrize("marker", [as_text, as_token])
@pytest.mark.parametrize("opening", ["<tool_call>", "<|tool_call|>"])
def test_both_openings_of_granite_lead_to_valid_calls(marker: object, opening: str) -> None:
    by_token = marker is as_token
    state = constraint(
        GRANITE, TOOLS, as_token if by_token else as_text, required=False, parallel=False
    )
    walk = Walk(state)
    walk.write("Let me see: ")
    if by_token and opening == "<|tool_call|>":
        walk.append(VOCABULARY.ids[opening])
    else:
        walk.write(opening)
    assert allowed(walk.state) == [ord("[")]
    walk.write(f"[{GET}]")
    assert walk.ended or allowed(walk.state) == [VOCABULARY.eos_id]


def test_granite_is_recognised_by_its_roles_and_phi_by_its_tags() -> None:
    assert GRANITE.recognises("<|start_of_role|> <|tool_call|>")
    assert not GRANITE.recognises("<|tool_call|>")
    assert not GRANITE.recognises("<|start_of_role|> <tool_call>")
    assert not TOOL_CALLS.recognises("<tool_calls>\n")
    assert PHI.recognises("<|tool|>[]<|/tool|>") and PHI.recognises("<|tool_call|><|/tool_call|>")
    assert not PHI.recognises("<|tool_call|>")
