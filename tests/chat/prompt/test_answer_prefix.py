"""The beginning of an answer: checked against its grammar, and separated from its markers."""

from typing import Any

import pytest

from friendli_endpoint.chat.conversation import ChatModel
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.prompt.answer_prefix import answer_prefix, continued_rule
from friendli_endpoint.chat.reasoning.styles import STYLES
from friendli_endpoint.chat.request.continuation import Continuation
from friendli_endpoint.chat.structured import matchers
from friendli_endpoint.chat.tools import family_named
from friendli_endpoint.generation import Grammar, RequestError
from tests.chat.tools.cases import CASES, TOOLS
from tests.support.chat import USER, body_of, toolbox_of
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary(context=4096)
RULES = RuleCompiler(VOCABULARY)
NUMBER = Grammar("regex", "[0-9]+")


def content(text: str) -> Continuation:
    return Continuation(3, "content", text)


@pytest.mark.parametrize("text", ["", "12", "123456"])
def test_a_grammar_reads_the_content_that_it_allows(text: str) -> None:
    assert answer_prefix(content(text), NUMBER, None, RULES) == text


@pytest.mark.parametrize(
    ("continuation", "grammar"),
    [
        (None, NUMBER),
        (content("12"), None),
        (Continuation(3, "reasoning_content", "x"), NUMBER),
    ],
)
def test_without_a_grammar_or_content_there_is_no_prefix(
    continuation: Continuation | None, grammar: Grammar | None
) -> None:
    assert answer_prefix(continuation, grammar, None, RULES) == ""


def test_content_that_the_grammar_does_not_allow_is_an_error_that_quotes_it() -> None:
    with pytest.raises(RequestError) as caught:
        answer_prefix(content("12 " + "x" * 1000), NUMBER, None, RULES)
    assert (caught.value.param, caught.value.code) == ("messages[3].content", "conflict")
    assert "response_format" in caught.value.message
    assert len(caught.value.message) < 200


def test_content_that_takes_too_long_to_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matchers, "_MAX_PREFIX_SECONDS", -1.0)
    with pytest.raises(RequestError) as caught:
        answer_prefix(content("1"), NUMBER, None, RULES)
    assert (caught.value.param, caught.value.code) == ("messages[3].content", "too_complex")


def test_the_rule_of_reasoning_begins_inside_the_text() -> None:
    rule = STYLES[0].rule("", budget=7)
    assert continued_rule(None, content("a")) is None
    assert continued_rule(rule, None) is rule
    assert continued_rule(rule, content("")) is rule
    inside = continued_rule(rule, content("x" * 1000 + "a "))
    assert inside and (inside.start, inside.before, inside.budget) == (
        "answer",
        "x" * 254 + "a ",
        7,
    )
    reasoning = continued_rule(rule, Continuation(3, "reasoning_content", "a\n"))
    assert reasoning and (reasoning.start, reasoning.before) == ("reasoning", "a\n")


SPECS = [
    {"type": "function", "function": {"name": tool.name, "parameters": tool.parameters}}
    for tool in TOOLS
]


def prefix_of(model: ChatModel, text: str, **fields: Any) -> str:
    last = {"role": "assistant", "content": text, "prefix": True}
    body = body_of(messages=[USER, last], tools=SPECS, **fields)
    return model.prepare(body).request.rules.answer_prefix


@pytest.mark.parametrize("family", sorted(CASES))
def test_a_message_with_a_call_cannot_be_continued(family: str) -> None:
    toolbox = toolbox_of(body_of(tools=SPECS), VOCABULARY, family_named(family))
    assert toolbox is not None
    text = CASES[family].double
    with pytest.raises(RequestError) as caught:
        answer_prefix(content(text), Grammar("lark", "start: /(?s:.*)/"), toolbox, RULES)
    assert (caught.value.param, caught.value.code) == ("messages[3].content", "not_supported")


def test_a_marker_that_is_a_control_token_cannot_be_in_a_prefix() -> None:
    tokens = (b"<|endoftext|>", b"<|im_start|>", b"<|im_end|>", b"<tool_call>")
    vocabulary = ScriptedVocabulary(4096, control=tokens)
    template = "{% for m in messages %}{{ m.content }}{% endfor %}<tool_call>"
    model = ChatModel(RuleCompiler(vocabulary), template, vocabulary.context)
    assert prefix_of(model, "I look. <tool_") == "I look. <tool_"
    with pytest.raises(RequestError) as caught:
        prefix_of(model, "I look. <tool_call>")
    assert caught.value.param == "messages[1].content"


def test_a_message_without_any_before_it_can_be_continued_with_tools() -> None:
    template = (
        "{% if not messages %}{{ raise_exception('empty') }}{% endif %}"
        "{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    model = ChatModel(RULES, template, VOCABULARY.context)
    body = body_of(messages=[{"role": "assistant", "content": "a", "prefix": True}], tools=SPECS)
    assert model.prepare(body).request.rules.answer_prefix == "a"


def test_a_recipient_that_the_template_writes_is_part_of_the_prefix() -> None:
    template = (
        "{% for m in messages %}|{{ m.role }}|{% if m.role == 'assistant' %}>>>all\n{% endif %}"
        "{{ m.content }}{% endfor %}{% if add_generation_prompt %}|assistant|>>>{% endif %}"
    )
    model = ChatModel(RULES, template, VOCABULARY.context)
    assert prefix_of(model, "I look") == "all\nI look"
