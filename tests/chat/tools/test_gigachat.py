"""GigaChat 3.1: one JSON object after a marker."""

import pytest

from friendli_endpoint.chat.tools.gigachat import GigaChat

from .cases import TOOLS, Reading, called, parsed
from .walk import VOCABULARY, Walk, allowed, as_text, as_token, constraint

GIGA = GigaChat()
GET = '<|function_call|>{"name": "get", "arguments": {"city": "x"}}'
READ = called("get", '{"city": "x"}')


def test_text_may_be_before_and_after_a_call() -> None:
    assert parsed(GIGA, f"A {GET} B") == Reading("A  B", [READ])


@pytest.mark.parametrize("text", [GET[17:], GET.replace("get", "put"), "<|function_call|>get()"])
def test_a_marker_without_a_valid_call_is_text(text: str) -> None:
    assert parsed(GIGA, text) == Reading(text, [])


@pytest.mark.parametrize("marker", [as_text, as_token])
def test_an_answer_has_one_call(marker: object) -> None:
    by_token = marker is as_token
    state = constraint(GIGA, TOOLS, as_token if by_token else as_text, required=True, parallel=True)
    walk = Walk(state)
    if by_token:
        walk.append(VOCABULARY.ids["<|function_call|>"])
    walk.write(GET.removeprefix("<|function_call|>") if by_token else GET)
    assert walk.ended or allowed(walk.state) == [VOCABULARY.eos_id]
