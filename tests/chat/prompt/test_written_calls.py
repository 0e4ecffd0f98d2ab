"""Calls that a chat template writes are allowed by its family's grammar and read by its parser."""

import json
from typing import Any

import pytest

from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.chat.tools import Marker, ToolSpec, family_named
from tests.chat.tools.cases import NAMES, reading
from tests.chat.tools.walk import VOCABULARY, Walk, allowed, as_text, as_token, constraint

from .call_templates import WRITTEN, template_of

PROPERTIES: dict[str, dict[str, Any]] = {
    "place": {"place": {"type": "string"}, "number": {"type": "integer"}},
    "time.utc": {"zones": {"type": "array", "items": {"type": "string"}}},
}
TOOLS = [
    ToolSpec(
        name,
        None,
        {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        },
    )
    for name, properties in PROPERTIES.items()
]
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("place", {"place": 'Zürich, "<a>" [1] {2}', "number": 7}),
    ("time.utc", {"zones": ["a", "b"]}),
]
ONE_CALL = ("harmony", "gigachat")
"""Families with one call in an answer."""


def answer(name: str, calls: list[tuple[str, dict[str, Any]]]) -> str:
    """Returns the answer with these calls, as a template of the family writes it."""
    written = [
        {
            "id": f"call{index:05}",
            "type": "function",
            "function": {"name": called, "arguments": arguments},
        }
        for index, (called, arguments) in enumerate(calls)
    ]
    messages: list[dict[str, Any]] = [{"role": "user", "content": "?"}]
    template = ChatTemplate(template_of(WRITTEN[name]), {})
    prompt = template.render(messages, {})
    messages.append({"role": "assistant", "content": "", "tool_calls": written})
    text = template.render(messages, {})
    assert text.startswith(prompt)
    return text[len(prompt) :].partition("<|end|>\n")[0].removesuffix("<|call|>")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("calls", [CALLS[:1], CALLS[1:], CALLS], ids=["place", "time", "both"])
def test_written_calls_are_read(name: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    parser = family_named(name).parser(TOOLS)
    found = reading([*parser.feed(answer(name, calls)), *parser.finish()])
    assert found.text == ""
    assert [(call.name, json.loads(call.arguments)) for call in found.calls] == calls


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("marker", [as_text, as_token])
@pytest.mark.parametrize("calls", [CALLS[:1], CALLS[1:], CALLS], ids=["place", "time", "both"])
def test_written_calls_are_allowed(
    name: str, marker: Marker, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    chosen = family_named(name)
    if name in ONE_CALL:
        calls = calls[:1]
    walk = Walk(constraint(chosen, TOOLS, marker, required=True, parallel=True))
    walk.write(answer(name, calls), marker)
    assert walk.ended or VOCABULARY.eos_id in allowed(walk.state)
