"""Reasoning styles: detection from chat templates, and rules of requests."""

import itertools
from dataclasses import replace

import pytest

from friendli_endpoint.chat.reasoning.styles import (
    _BY_TEMPLATE,
    STYLES,
    ReasoningStyle,
    style_of,
    tag_ids,
)
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
        ("{{ '<think>' }} then {{ '<response>' }}", "think_response"),
        ("{{ '<think>' }} {{ '<minimax:tool_call>' }} {{ '<response>' }}", "think"),
        ("{{ '<think>' }} then {{ '<answer>' }}", "think_answer"),
        ("{%- macro open_tag(t) %}{% endmacro %}{{ open_tag('think') }}", "kimi_k3"),
        ("{{ '<seed:think>' }}<seed:cot_budget_reflect>", "seed"),
        ("<|START_THINKING|>{{ r }}<|END_THINKING|><|START_RESPONSE|>", "command"),
        ("<|START_THINKING|>{{ r }}<|END_THINKING|><|START_TEXT|>", "command_text"),
        ("<|channel>thought\n{{ r }}<channel|>", "gemma"),
        ("{% set inner = '<|inner_prefix|>' %}", "apertus"),
        ("<mm:think>{{ r }}</mm:think>", "minimax_m3"),
        ("{% set k = ':opensource' %}{{ '<think{}>'.format(k) }}", "hunyuan"),
        ("<thought>{{ r }}</thought>", "exaone"),
        ("{{ c.split('</reasoning>') }}", "reka"),
        ("answer after [BEGIN FINAL RESPONSE]", "apriel"),
        ("<|begin|>assistant<|think|>{{ r }}<|end|><|content|>", "solar"),
        ("<|start|>assistant to=self<|message|>{{ r }}<|eom|>", "muse"),
        ("<|begin_of_thought|>{{ r }}<|end_of_thought|>", "openthinker"),
        ("<beginning_of_sentence>ai name={{ n }}", "think"),
        ("You are MiMo, a model.", "think"),
    ],
)
def test_the_style_is_found_from_the_template(template: str, name: str) -> None:
    style = style_of(template)
    assert style is not None
    assert style.name == name


@pytest.mark.parametrize("template", ["", "{{ messages[0].content }}", "I think, therefore"])
def test_a_template_without_tags_has_no_style(template: str) -> None:
    assert style_of(template) is None


def test_every_style_is_found_from_a_template() -> None:
    assert {name for _, name in _BY_TEMPLATE} == {style.name for style in STYLES}
    assert len(STYLES) == len({style.name for style in STYLES})


@all_styles
def test_no_tag_is_the_beginning_of_another_at_the_same_place(style: ReasoningStyle) -> None:
    """Otherwise the result would depend on how the output is cut into chunks."""
    opening = (style.open, *style.other_opens, *style.preludes)
    for tags in (opening, (style.close, *style.other_closes)):
        for first, second in itertools.permutations(tags, 2):
            assert not second.startswith(first)


@all_styles
@pytest.mark.parametrize("after", ["", "\n", " \n\n"])
def test_the_end_of_the_prompt_decides_in_which_phase_the_output_starts(
    style: ReasoningStyle, after: str
) -> None:
    assert style.rule(f"user: hi{after}").start == "start"
    assert style.rule(f"assistant: {style.open}{after}").start == "reasoning"
    assert style.rule(f"assistant: {style.open}{style.close}{after}").start == "answer"
    assert style.rule(f"{style.open} I think{after}").start == "start"
    for tag in (*style.other_closes, *style.preludes, *style.rule().answer_opens):
        assert style.rule(f"assistant: {tag}{after}").start == "answer"
    for tag in style.other_opens:
        assert style.rule(f"assistant: {tag}{after}").start == "reasoning"


@all_styles
def test_a_rule_has_the_tags_and_the_options_of_the_request(style: ReasoningStyle) -> None:
    rule = style.rule("hi", ("<call>",), trims=False, budget=3)
    expected = ReasoningRule(
        style.open,
        style.close,
        style.preludes,
        other_opens=style.other_opens,
        other_closes=style.other_closes,
        answer_open=style.answer_open,
        answer_close=style.answer_close,
        other_answer_closes=style.other_answer_closes,
    )
    assert style.rule() == expected
    options = replace(expected, interruptions=("<call>",), trims=False, budget=3)
    assert rule == options


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
