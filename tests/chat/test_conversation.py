"""Preparation of requests: the generation request, and early rejection."""

import dataclasses
from typing import Any

import pytest

from friendli_endpoint.chat.conversation import ChatDefaults, ChatModel
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.prepared import PreparedRequest
from friendli_endpoint.chat.reasoning.styles import STYLES
from friendli_endpoint.generation import (
    DecodingRules,
    Grammar,
    RequestError,
)
from tests.chat.random_requests import MODELS, SOURCES
from tests.support.chat import USER, body_of, chat_model, prompt_ids
from tests.support.scripted import ScriptedVocabulary

TEMPLATE = (
    "{% for m in messages %}{{ m.content }}{{ m.tool_calls|tojson if m.tool_calls }}{% endfor %}"
)


class Vocabulary(ScriptedVocabulary):
    """A vocabulary that counts the characters it tokenizes."""

    tokenized = 0

    def tokenize(self, text: str, special: bool) -> list[int]:
        self.tokenized += len(text)
        return super().tokenize(text, special)


def prepared(vocabulary: Vocabulary, **fields: Any) -> PreparedRequest:
    model = chat_model(vocabulary, TEMPLATE)
    vocabulary.tokenized = 0
    return model.prepare(body_of(**fields))


def error_of(vocabulary: Vocabulary, **fields: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        prepared(vocabulary, **fields)
    return caught.value


def messages_with_call(arguments: str) -> list[Any]:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return [USER, {"role": "assistant", "tool_calls": [call]}]


@pytest.mark.parametrize("depth", [10, 190, 210, 900, 1_100, 100_000])
def test_calls_with_deep_arguments_are_parsed_or_left_as_text(depth: int) -> None:
    vocabulary = Vocabulary(context=1 << 20)
    messages = messages_with_call("[" * depth + "]" * depth)
    prompt = vocabulary.text(prompt_ids(prepared(vocabulary, messages=messages).request))
    assert ('"arguments": [' in prompt) == (depth < 200)
    assert ("[" * depth + "]" * depth) in prompt


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
FOREIGN = "{{ tools }}{% for m in messages %}{{ m.content }}<calls>{{ m.tool_calls }}{% endfor %}"


def test_tools_are_refused_if_the_format_of_calls_is_unknown() -> None:
    model = chat_model(Vocabulary(), FOREIGN)
    assert model.tool_family is None
    with pytest.raises(RequestError, match="--tool-family") as caught:
        model.prepare(body_of(tools=[TOOL]))
    error = caught.value
    assert (error.status, error.param, error.code) == (400, "tools", "unknown_tool_family")


@pytest.mark.parametrize("fields", [{}, {"tools": []}, {"tools": [TOOL], "tool_choice": "none"}])
def test_requests_that_call_no_tool_need_no_format(fields: dict[str, Any]) -> None:
    assert not chat_model(Vocabulary(), FOREIGN).prepare(body_of(**fields)).tools


def test_a_format_that_is_set_takes_precedence_over_the_template() -> None:
    for template in (FOREIGN, TEMPLATE):
        model = chat_model(Vocabulary(context=1000), template, ChatDefaults(tool_family="llama3"))
        assert model.tool_family == "llama3"
        assert model.prepare(body_of(tools=[TOOL])).tools


def test_a_prompt_that_cannot_fit_is_rejected_without_tokenizing() -> None:
    vocabulary = Vocabulary(context=100)
    message = {"role": "user", "content": "x" * 100_000}
    error = error_of(vocabulary, messages=[message])
    assert (error.param, error.code) == ("messages", "context_length_exceeded")
    assert vocabulary.tokenized == 0
    fits = {"role": "user", "content": "<|endoftext|>" * 7}
    assert prepared(Vocabulary(context=100), messages=[fits])


def test_many_messages_are_valid() -> None:
    """The HTTP layer, which parses bodies, limits the number of messages."""
    empty = {"role": "user", "content": ""}
    assert prepared(Vocabulary(), messages=[USER, *[empty] * 2047])


@pytest.mark.parametrize("model", ["../../etc/passwd", "\0", "a\r\nb: c", "m:../x", "x" * 256])
def test_a_model_name_may_contain_any_characters(model: str) -> None:
    assert prepared(Vocabulary(), model=model).model == model


def test_a_model_name_that_is_too_long_is_rejected() -> None:
    assert error_of(Vocabulary(), model="x" * 257).param == "model"


def test_requests_of_the_same_body_differ_only_in_their_ids() -> None:
    fields = {"response_format": {"type": "regex", "schema": "[0-9]"}, "stop": "a", "seed": 1}
    first, second = (MODELS[SOURCES[1]].prepare(body_of(**fields)).request for _ in range(2))
    assert first.request_id != second.request_id
    assert dataclasses.replace(second, request_id=first.request_id) == first


@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        ({}, DecodingRules((0, 2))),
        ({"eos_token": [10, 0]}, DecodingRules((0, 10), visible_ids=(2,))),
        ({"stop": ["a", "b"], "min_tokens": 3}, DecodingRules((0, 2), (), ("a", "b"), 3)),
        (
            {"response_format": {"type": "regex", "schema": "a"}},
            DecodingRules((0, 2), grammar=Grammar("regex", "(?:a)")),
        ),
    ],
)
def test_decoding_rules_of_a_model_without_reasoning(
    fields: dict[str, Any], rules: DecodingRules
) -> None:
    vocabulary = Vocabulary()
    assert chat_model(vocabulary, TEMPLATE).prepare(body_of(**fields)).request.rules == rules


SCHEMA = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}


@pytest.mark.parametrize("schema", [SCHEMA, {"type": "array"}])
def test_a_json_object_with_a_schema_is_enforced_as_a_json_schema(schema: dict[str, Any]) -> None:
    free = prepared(Vocabulary(), response_format={"type": "json_object"}).request.rules
    loose = {"type": "json_object", "schema": schema}
    strict = {"type": "json_schema", "json_schema": {"schema": schema}}
    found, expected = (
        prepared(Vocabulary(), response_format=sent).request.rules for sent in (loose, strict)
    )
    assert found == expected != free


@pytest.mark.parametrize("schema", [None, {}])
def test_a_json_object_without_a_schema_is_any_object(schema: object) -> None:
    found, expected = (
        prepared(Vocabulary(), response_format={"type": "json_object", **fields}).request.rules
        for fields in ({"schema": schema}, {})
    )
    assert found == expected


def test_a_schema_of_a_json_object_that_cannot_be_enforced_is_named_by_its_path() -> None:
    schema = {"properties": {"a": {"type": "array", "extends": {"type": "null"}}}}
    error = error_of(Vocabulary(), response_format={"type": "json_object", "schema": schema})
    assert error.param == "response_format.schema.properties.a.extends"


def test_eos_token_replaces_the_end_tokens_of_the_model_which_become_text() -> None:
    request = prepared(Vocabulary(), eos_token=[10, 0]).request
    compiled = RuleCompiler(Vocabulary()).compile(request.rules)
    findings = {token: compiled.guide().accept(token, False) for token in range(Vocabulary().size)}
    assert {token for token, found in findings.items() if found.is_end} == {10, 0}
    assert {token for token, found in findings.items() if not found.num_bytes} == {0, 1, 3, 10}


@pytest.mark.parametrize(
    ("fields", "trims", "interruptions"),
    [
        ({}, True, ()),
        ({"response_format": {"type": "json_object"}}, False, ()),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
            True,
            ("<tool_call>",),
        ),
    ],
)
def test_the_reasoning_rule_depends_on_the_form_of_the_answer(
    fields: dict[str, Any], trims: bool, interruptions: tuple[str, ...]
) -> None:
    reasoning = MODELS[SOURCES[1]].prepare(body_of(**fields)).request.rules.reasoning
    assert reasoning == STYLES[0].rule("", interruptions, trims=trims)


@pytest.mark.parametrize(("length", "remaining"), [(0, 10), (9, 1), (10, 0), (11, -1)])
def test_the_prompt_must_leave_at_least_one_token(length: int, remaining: int) -> None:
    vocabulary = Vocabulary(context=10)
    message = {"role": "user", "content": "x" * length}
    model = ChatModel(RuleCompiler(vocabulary), "{{ messages[0].content }}", 10)
    if length and remaining > 0:
        assert model.prepare(body_of(messages=[message])).request.max_tokens == remaining
        return
    with pytest.raises(RequestError) as caught:
        model.prepare(body_of(messages=[message]))
    assert caught.value.param == "messages"


def test_max_tokens_defaults_to_the_tokens_that_the_prompt_leaves() -> None:
    assert prepared(Vocabulary(), max_tokens=7).request.max_tokens == 7
    assert prepared(Vocabulary(), max_completion_tokens=7).request.max_tokens == 7
    request = prepared(Vocabulary()).request
    assert request.max_tokens + request.num_prompt_tokens == Vocabulary().context


def test_the_adapter_is_the_route_in_the_model_name() -> None:
    model = chat_model(Vocabulary(), TEMPLATE, ChatDefaults(endpoint_ids=("e",)))
    assert model.prepare(body_of(model="e:a")).request.adapter == model.adapter_of("e:a") == "a"
    assert model.prepare(body_of(model="e")).request.adapter is None
    with pytest.raises(RequestError) as caught:
        model.prepare(body_of(model="x"))
    assert caught.value.status == 404
