"""Harmony: headers with a channel, calls with a recipient in either order."""

import pytest

from friendli_endpoint.chat.tools import CallReasoning, CallText, Marker, ToolSpec
from friendli_endpoint.chat.tools.harmony import Harmony

from .cases import TOOLS, Reading, called, parsed
from .walk import Walk, allowed, as_text, as_token, constraint

HARMONY = Harmony()
READ = called("get", '{"city": "x"}')
JSON = '{"city": "x"}'
NEXT = "<|end|><|start|>assistant"


@pytest.mark.parametrize("channel", ["commentary", "analysis"])
@pytest.mark.parametrize(
    "kind", ["", " ", "json", " json", " <|constrain|>json", "<|constrain|> json ", " code"]
)
@pytest.mark.parametrize("before", ["", "\n", "<|start|>assistant", "<|start|>assistant "])
def test_recipient_and_channel_have_any_order_and_content_type(
    channel: str, kind: str, before: str
) -> None:
    for header in (
        f"<|channel|>{channel} to=functions.get{kind}<|message|>",
        f" to=functions.get<|channel|>{channel}{kind}<|message|>",
        f"to=functions.get <|channel|>{channel}{kind}<|message|> ",
    ):
        for end in ("", "<|call|>", "<|end|>", "\n"):
            assert parsed(HARMONY, before + header + JSON + end) == Reading("", [READ])


@pytest.mark.parametrize("channel", ["final", "commentary"])
@pytest.mark.parametrize("kind", ["", " <|constrain|>json"])
def test_headers_of_text_are_not_text(channel: str, kind: str) -> None:
    header = f"<|channel|>{channel}{kind}<|message|>"
    assert parsed(HARMONY, f"{header}Hi.") == Reading("Hi.", [])
    assert parsed(HARMONY, f"<|start|>assistant{header}Hi.<|end|>") == Reading("Hi.", [])
    assert parsed(HARMONY, f"A{NEXT}{header}B") == Reading("AB", [])


def test_reasoning_between_messages_is_reasoning() -> None:
    parser = HARMONY.parser(TOOLS)
    text = f"A{NEXT}<|channel|>analysis<|message|>Hm.{NEXT}<|channel|>final<|message|>B"
    assert [*parser.feed(text), *parser.finish()] == [
        *(CallText("A"), CallReasoning("Hm."), CallText("B"))
    ]


def test_a_call_of_an_unknown_tool_is_text() -> None:
    header = "<|channel|>commentary to=functions.put<|message|>"
    assert parsed(HARMONY, header + JSON) == Reading(header + JSON, [])
    assert parsed(HARMONY, "<|channel|>commentary to=web.get<|message|>{}").calls == []
    assert HARMONY.parser(()).feed(f"{header}{JSON}") == [CallText(header + JSON)]


def test_several_calls_are_read_but_only_one_is_allowed() -> None:
    call = f"<|channel|>commentary to=functions.get json<|message|>{JSON}"
    text = f"{call}<|call|><|start|>assistant{call}"
    assert parsed(HARMONY, text) == Reading("", [READ, READ])
    for marker in (as_text, as_token):
        for required in (False, True):
            walk = Walk(constraint(HARMONY, TOOLS, marker, required=required, parallel=True))
            walk.write(call, marker)
            assert walk.ended or ord("<") not in allowed(walk.state)


@pytest.mark.parametrize("marker", [as_text, as_token])
def test_required_calls_have_no_text_before_them(marker: Marker) -> None:
    walk = Walk(constraint(HARMONY, TOOLS, marker, required=True, parallel=True))
    walk.write("<|start|>assistant<|channel|>commentary", marker)
    assert ord("<") not in allowed(walk.state) and ord(" ") in allowed(walk.state)


def test_a_name_that_begins_another_name_is_told_apart() -> None:
    tools = [ToolSpec(name, None, {"type": "object"}) for name in ("a", "a.b", "a.b-c")]
    for tool in tools:
        text = f" to=functions.{tool.name}<|channel|>commentary json<|message|>{{}}"
        assert parsed(HARMONY, text, tools) == Reading("", [called(tool.name, "{}")])


def test_templates_with_channels_and_recipients_are_recognised() -> None:
    assert HARMONY.recognises("<|channel|>commentary to=functions.x")
    assert not HARMONY.recognises("<|channel|>analysis") and not HARMONY.recognises("to=functions.")
