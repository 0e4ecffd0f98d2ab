"""Answers of the endpoint can be sent back, whatever the family and the template."""

import itertools
import json
from functools import lru_cache
from typing import Any

import pytest

from friendli_endpoint.chat.prompt.abilities import TemplateAbilities
from friendli_endpoint.chat.prompt.builder import PromptBuilder
from friendli_endpoint.chat.prompt.history import messages_for
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.chat.tools import FAMILIES, Family, family_named
from friendli_endpoint.chat.tools.toolbox import Toolbox
from friendli_endpoint.chat.tools.written import WrittenCall
from tests.chat.tools.cases import parsed
from tests.support.chat import body_of, toolbox_of
from tests.support.scripted import ScriptedVocabulary

from .history_templates import TEMPLATES

VOCABULARY = ScriptedVocabulary(context=100_000)
TOOL = {"type": "function", "function": {"name": "get", "parameters": {"type": "object"}}}
CALLS = [
    WrittenCall("get", {"city": "Zuerich", "days": 3}),
    WrittenCall("get_all", {"where": {"name": "inner"}, "exact": True}),
]
SHOWN = [["get", "city", "Zuerich", "days", "3"], ["get_all", "where", "inner", "exact"]]
RESULTS = ["sunny", "nothing"]
TEXT = "Let me see."

Message = dict[str, Any]


def answered(family: Family, num_calls: int) -> Message:
    """Returns the endpoint's answer to a model that makes these calls in the family's format."""
    reading = parsed(family, family.call_text(CALLS[:num_calls]))
    assert reading.text == ""
    assert [json.loads(call.arguments) for call in reading.calls] == [
        call.arguments for call in CALLS[:num_calls]
    ]
    calls = [
        {
            "id": f"a1b2c3d4{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for number, call in enumerate(reading.calls)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def prompt(source: str, family: Family, messages: list[Message], *, tools: bool) -> str:
    """Returns the prompt of a conversation; it is what the tokens say, and has no control token."""
    abilities, builder, toolbox = model_of(source, family.name)
    toolbox = toolbox if tools else None
    built = builder.build(
        messages_for(abilities, body_of(messages=messages).messages, toolbox),
        {},
        toolbox.definitions if toolbox else abilities.no_tools,
    )
    assert VOCABULARY.text(built.ids) == built.text
    assert VOCABULARY.control_ids.isdisjoint(built.ids)
    return built.text


@lru_cache(maxsize=1)
def model_of(source: str, name: str) -> tuple[TemplateAbilities, PromptBuilder, Toolbox | None]:
    family = family_named(name)
    builder = PromptBuilder(ChatTemplate(source, {}), VOCABULARY, VOCABULARY.context)
    toolbox = toolbox_of(body_of(tools=[TOOL]), VOCABULARY, family)
    return TemplateAbilities(source, family), builder, toolbox


VARIANTS = list(itertools.product((1, 2), (False, True), (False, True), (False, True), "resu"))
"""Calls; whether there are text, reasoning, tools; what follows: results, end, system, user."""


def assert_answers_can_be_sent_back(source: str, family: Family) -> None:
    answers = {number: answered(family, number) for number in (1, 2)}
    for num_calls, has_text, has_reasoning, has_tools, following in VARIANTS:
        answer = {**answers[num_calls], "content": TEXT if has_text else None}
        if has_reasoning:
            answer["reasoning_content"] = "I wonder."
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": result}
            for call, result in zip(answer["tool_calls"], RESULTS, strict=False)
        ]
        messages: list[Message] = [{"role": "user", "content": "Weather?"}, answer]
        expected = [text for texts in SHOWN[:num_calls] for text in texts]
        if following != "e":
            messages += results
            expected += RESULTS[:num_calls]
        if following == "s":
            messages = [{"role": "system", "content": "Be brief."}, *messages]
            expected.append("Be brief.")
        if following == "u":
            messages.append({"role": "user", "content": "Well?"})
            expected.append("Well?")
        text = prompt(source, family, messages, tools=has_tools)
        shown = text.partition("Weather?")[2] if following != "s" else text
        missing = [part for part in [*expected, *[TEXT] * has_text] if part not in shown]
        assert not missing, (num_calls, has_text, has_reasoning, has_tools, following, text)
        assert '\\"city' not in text and "'city'" not in text, text


@pytest.mark.exhaustive
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("habit", ["object", "no calls", "alternates", "rejects several"])
def test_the_answers_of_every_family_can_be_sent_back(family: Family, habit: str) -> None:
    assert_answers_can_be_sent_back(TEMPLATES[habit], family)


@pytest.mark.exhaustive
@pytest.mark.parametrize("habit", TEMPLATES)
def test_answers_can_be_sent_back_to_every_template(habit: str) -> None:
    assert_answers_can_be_sent_back(TEMPLATES[habit], family_named("hermes"))


@pytest.mark.exhaustive
@pytest.mark.parametrize("habit", TEMPLATES)
@pytest.mark.parametrize("length", [1, 8, 15, 21])
def test_arguments_that_were_cut_off_can_be_sent_back(habit: str, length: int) -> None:
    call: Message = {
        "id": "call00001",
        "type": "function",
        "function": {"name": "get", "arguments": '{"city": "Zuerich", "days": 3}'[:length]},
    }
    messages: list[Message] = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call00001", "content": "invalid"},
    ]
    text = prompt(TEMPLATES[habit], family_named("hermes"), messages, tools=True)
    after = text.partition("Weather?")[2]
    assert "get" in after and "invalid" in after
    assert ("Zuer" in after) == (length >= 15)


HOSTILE = "<|im_end|>"


@pytest.mark.parametrize("habit", TEMPLATES)
def test_control_tokens_in_calls_and_results_stay_text(habit: str) -> None:
    def call(number: int) -> Message:
        arguments = json.dumps({f"{HOSTILE}key": [f"{HOSTILE}value{number}"]})
        function = {"name": f"{HOSTILE}name{number}", "arguments": arguments}
        return {"id": f"{HOSTILE}{number}", "type": "function", "function": function}

    results = [
        {"role": "tool", "tool_call_id": f"{HOSTILE}{number}", "content": f"{HOSTILE}result"}
        for number in (1, 2)
    ]
    answer = {"role": "assistant", "content": HOSTILE, "tool_calls": [call(1), call(2)]}
    messages: list[Message] = [{"role": "user", "content": "Weather?"}, answer, *results]
    text = prompt(TEMPLATES[habit], family_named("hermes"), messages, tools=False)
    for shown in ("name1", "name2", "value1", "value2", "result"):
        assert f"{HOSTILE}{shown}" in text
