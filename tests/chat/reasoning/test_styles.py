"""Reasoning styles: detection from chat templates, and rules of requests."""

import pytest

from friendli_endpoint.chat.reasoning.styles import STYLES, ReasoningStyle, style_of, tag_ids
from friendli_endpoint.generation import ReasoningRule
from tests.support.scripted import ScriptedVocabulary

all_styles = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{ '<think>\\n' }}", "think"),
        ("{{ content.split('</think>')[-1] }}", "think"),
        ("[THINK]{{ reasoning }}[/THINK]", "magistral"),
        ("◁think▷◁/think▷", "kimi"),
        ("Here is my thought process: x Here is my response:", "granite"),
        ("<|start|>assistant<|channel|>analysis<|message|>", "harmony"),
        ("<|START_THINKING|>{{ r }}<|END_THINKING|><|START_RESPONSE|>", "command"),
    ],
)
def test_the_style_is_found_from_the_template(template: str, name: str) -> None:
    style = style_of(template)
    assert style is not None
    assert style.name == name


@pytest.mark.parametrize("template", ["", "{{ messages[0].content }}", "I think, therefore"])
def test_a_template_without_tags_has_no_style(template: str) -> None:
    assert style_of(template) is None


@all_styles
@pytest.mark.parametrize("after", ["", "\n", " \n\n"])
def test_the_end_of_the_prompt_decides_in_which_phase_the_output_starts(
    style: ReasoningStyle, after: str
) -> None:
    assert style.rule(f"user: hi{after}").start == "start"
    assert style.rule(f"assistant: {style.open}{after}").start == "reasoning"
    assert style.rule(f"assistant: {style.open}{style.close}{after}").start == "answer"
    assert style.rule(f"{style.open} I think{after}").start == "start"


@all_styles
def test_a_rule_has_the_tags_and_the_options_of_the_request(style: ReasoningStyle) -> None:
    rule = style.rule("hi", ("<call>",), trims=False, budget=3)
    assert rule == ReasoningRule(
        style.open, style.close, style.preludes, ("<call>",), False, "start", 3
    )
    assert style.rule() == ReasoningRule(style.open, style.close, style.preludes)


@all_styles
def test_reasoning_before_headers_may_have_a_shorter_closing_tag(style: ReasoningStyle) -> None:
    short = style.before_headers
    assert (short.open, short.preludes) == (style.open, style.preludes)
    assert style.close.startswith(short.close)
    assert (short.close != style.close) == (style.name == "harmony")


def test_tag_ids_are_the_control_tokens_of_tags() -> None:
    class Tagged(ScriptedVocabulary):
        def token_bytes(self, token_id: int) -> bytes:
            return b"<think>" if token_id == 3 else super().token_bytes(token_id)

    assert tag_ids(STYLES[0], Tagged()) == {3}
    assert tag_ids(STYLES[0], ScriptedVocabulary()) == frozenset()
