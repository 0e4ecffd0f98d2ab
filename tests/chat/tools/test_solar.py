"""Solar Open: markers around the id, the name and the arguments of each call."""

import pytest

from friendli_endpoint.chat.tools.solar import Solar

from .cases import Reading, called, parsed

SOLAR = Solar()
CALLS = "<|tool_calls|>"
READ = called("get", '{"city": "x"}')


def call(name: str, identity: str = "call-1", arguments: str = '{"city": "x"}') -> str:
    head = f"<|tool_call:begin|>{identity}<|tool_call:name|>{name}"
    return f"{head}<|tool_call:args|>{arguments}<|tool_call:end|>"


def test_text_may_be_before_and_between_calls() -> None:
    text = f"A {CALLS}{call('get')}\n{call('get', '1')} B {CALLS}{call('get', 'a_b')}"
    assert parsed(SOLAR, text) == Reading("A  B ", [READ] * 3)


@pytest.mark.parametrize(
    "text",
    [
        call("get"),
        f"{CALLS}{call('put')}",
        f"{CALLS}{call('get', '')}",
        f"{CALLS}{call('get', 'a b')}",
        f"{CALLS}{call('get', arguments='null')}",
    ],
)
def test_markers_without_a_valid_call_are_text(text: str) -> None:
    assert parsed(SOLAR, text) == Reading(text, [])


def test_a_call_without_its_end_leaves_no_text() -> None:
    text = f"{CALLS}{call('get')}"
    for end in range(text.index("}") + 1, len(text) + 1):
        assert parsed(SOLAR, text[:end]) == Reading("", [READ])
