"""Validation: from a request body to a request with every default resolved."""

from typing import Any

import pytest

from friendli.models import DedicatedChatCompletionBody, ResponseFormatJSONObject
from friendli_endpoint.chat.request.chat_request import ChatRequest
from friendli_endpoint.chat.request.rules import Limits
from friendli_endpoint.chat.request.validation import ModelFacts, adapter_route, validate
from friendli_endpoint.generation import RequestError
from tests.support.chat import USER, body_of
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary()
FACTS = ModelFacts(VOCABULARY, reasons=True, takes_effort=True, newline_ids=frozenset({14}))
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


def validated(facts: ModelFacts = FACTS, **fields: Any) -> ChatRequest:
    return validate(body_of(**fields), facts)


def error_of(facts: ModelFacts = FACTS, **fields: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        validated(facts, **fields)
    return caught.value


DEFAULTS: dict[str, dict[str, object]] = {
    "chat_template_kwargs": {"template_kwargs": {}},
    "continue_final_message": {"continuation": None},
    "add_generation_prompt": {"continuation": None},
    "reasoning_effort": {"template_kwargs": {}},
    "eos_token": {"end_ids": VOCABULARY.end_ids},
    "frequency_penalty": {"sampling.frequency_penalty": 0.0},
    "presence_penalty": {"sampling.presence_penalty": 0.0},
    "repetition_penalty": {"sampling.repetition_penalty": 1.0},
    "temperature": {"sampling.temperature": 1.0},
    "top_k": {"sampling.top_k": 0},
    "top_p": {"sampling.top_p": 1.0},
    "min_p": {"sampling.min_p": 0.0},
    "xtc_threshold": {"sampling.xtc_threshold": 0.0},
    "xtc_probability": {"sampling.xtc_probability": 0.0},
    "logit_bias": {"sampling.logit_bias": {}},
    "logprobs": {"top_logprobs": None},
    "top_logprobs": {"top_logprobs": None},
    "max_tokens": {"max_tokens": None},
    "max_completion_tokens": {"max_tokens": None},
    "min_tokens": {"min_tokens": 0},
    "n": {"choices": 1},
    "seed": {"drawn_seeds": 2},
    "stop": {"stop": ()},
    "stream": {"stream": False},
    "stream_options": {"include_usage": False},
    "parse_reasoning": {"parse_reasoning": True},
    "include_reasoning": {"include_reasoning": True},
    "reasoning_budget": {"reasoning_budget": None},
    "tools": {"offered_tools": (), "tools": (), "tool_required": False},
    "tool_choice": {"tools": (), "tool_required": False},
    "parallel_tool_calls": {"parallel_tool_calls": True},
    "response_format": {"response_format": None},
}
"""By field of the body: the attributes of a request in which it is absent or null. `sampling.` are
attributes of a choice, `choices` is the number of choices, and `drawn_seeds` is the number of
different seeds in two requests."""


def value_of(name: str, fields: dict[str, None]) -> object:
    """Returns the value of a request with these fields under a name of the table."""
    request = validated(FACTS, **fields)
    match name.partition("."):
        case "sampling", _, own:
            return getattr(request.sampling[0], own)
        case "choices", _, _:
            return len(request.sampling)
        case "drawn_seeds", _, _:
            return len({request.sampling[0].seed, validated(FACTS, **fields).sampling[0].seed})
    return getattr(request, name)


def test_the_table_of_defaults_has_every_field() -> None:
    assert (
        DEFAULTS.keys() | {"model", "messages"} == DedicatedChatCompletionBody.model_fields.keys()
    )


@pytest.mark.parametrize("null", [False, True], ids=["absent", "null"])
@pytest.mark.parametrize("field", DEFAULTS)
def test_a_field_that_is_absent_or_null_has_its_default(field: str, null: bool) -> None:
    for name, default in DEFAULTS[field].items():
        assert value_of(name, {field: None} if null else {}) == default, name


def test_a_body_of_nulls_equals_a_body_with_only_its_messages() -> None:
    nulls = dict.fromkeys(DEFAULTS)
    assert validated(FACTS, **{**nulls, "seed": 1}) == validated(seed=1)


def test_every_field_is_passed_on() -> None:
    request = validated(
        model="m:route",
        messages=[USER, USER],
        chat_template_kwargs={"mood": "good"},
        reasoning_effort="low",
        reasoning_budget=9,
        eos_token=[10],
        stop="ab",
        max_tokens=7,
        min_tokens=3,
        logprobs=True,
        top_logprobs=2,
        n=2,
        seed=[5, 3],
        stream=True,
        stream_options={"include_usage": True},
        parse_reasoning=False,
        include_reasoning=False,
    )
    assert (request.model, request.adapter) == ("m:route", "route")
    assert [message.model_dump() for message in request.messages] == [USER, USER]
    assert request.template_kwargs == {"mood": "good", "reasoning_effort": "low"}
    assert request.reasoning_budget == 9
    assert (request.end_ids, request.stop) == (frozenset({10}), ("ab",))
    assert (request.max_tokens, request.min_tokens) == (7, 3)
    assert request.top_logprobs == 2
    assert [choice.seed for choice in request.sampling] == [5, 3]
    assert (request.stream, request.include_usage) == (True, True)
    assert (request.parse_reasoning, request.include_reasoning) == (False, False)


def test_max_completion_tokens_is_an_alias_of_max_tokens() -> None:
    assert validated(max_completion_tokens=7).max_tokens == 7
    assert validated(max_completion_tokens=7, max_tokens=7).max_tokens == 7


@pytest.mark.parametrize(
    ("fields", "reported"),
    [
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 0}, 0),
        ({"logprobs": True, "top_logprobs": 5}, 5),
        ({"logprobs": False}, None),
    ],
)
def test_log_probabilities_are_reported_only_on_request(
    fields: dict[str, Any], reported: int | None
) -> None:
    assert validated(FACTS, **fields).top_logprobs == reported


def test_the_response_format_text_is_none() -> None:
    assert validated(response_format={"type": "text"}).response_format is None
    response_format = validated(response_format={"type": "json_object"}).response_format
    assert isinstance(response_format, ResponseFormatJSONObject)


def test_the_end_tokens_of_the_model_are_the_default() -> None:
    assert validated().end_ids == validated(eos_token=[]).end_ids == VOCABULARY.end_ids


def test_eos_token_replaces_the_end_tokens_of_the_model() -> None:
    assert validated(eos_token=[10, 0]).end_ids == {10, 0}


@pytest.mark.parametrize("token", [-1, VOCABULARY.size])
def test_an_end_token_outside_the_vocabulary_is_rejected_by_its_path(token: int) -> None:
    error = error_of(eos_token=[0, token])
    assert error.param == "eos_token[1]"
    assert f"{VOCABULARY.size - 1}" in error.message


@pytest.mark.parametrize(
    ("stop", "stops"), [("ab", ("ab",)), (["ab"], ("ab",)), (["x", "ab"], ("x", "ab"))]
)
def test_a_stop_is_one_string_or_several(stop: object, stops: tuple[str, ...]) -> None:
    request = validated(stop=stop, min_tokens=3)
    assert (request.stop, request.min_tokens) == (stops, 3)


def test_xtc_protects_end_tokens_and_line_breaks() -> None:
    assert set(validated().sampling[0].xtc_protected) == VOCABULARY.end_ids | {14}
    assert validated(eos_token=[10]).sampling[0].xtc_protected == (10, 14)


@pytest.mark.parametrize("name", ["reasoning_budget", "reasoning_effort"])
def test_reasoning_fields_are_rejected_for_a_model_without_reasoning(name: str) -> None:
    value = 3 if name == "reasoning_budget" else "low"
    error = error_of(ModelFacts(VOCABULARY), **{name: value})
    assert (error.param, error.code) == (name, "not_supported")
    validated(ModelFacts(VOCABULARY), **{name: None})


def test_the_operator_sets_the_default_of_parse_reasoning() -> None:
    facts = ModelFacts(VOCABULARY, parse_reasoning=False)
    assert not validated(facts).parse_reasoning
    assert validated(facts, parse_reasoning=True).parse_reasoning


@pytest.mark.parametrize(
    ("name", "route"),
    [("a", None), ("a:b", None), ("a:c", "c"), ("a:c:d", "c:d"), ("a:", "")],
)
def test_the_route_of_an_adapter_follows_an_endpoint_id(name: str, route: str | None) -> None:
    assert adapter_route(name, ("a", "a:b")) == route
    assert validated(ModelFacts(VOCABULARY, ("a", "a:b")), model=name).adapter == route


def test_any_endpoint_id_is_valid_if_none_are_set() -> None:
    assert adapter_route("x", ()) is None
    assert adapter_route("x:y", ()) == "y"


@pytest.mark.parametrize("name", ["b", "b:a", "ab"])
def test_an_endpoint_that_does_not_exist_is_not_found(name: str) -> None:
    error = error_of(ModelFacts(VOCABULARY, ("a",)), model=name)
    assert (error.status, error.param, error.code) == (404, "model", "model_not_found")


def test_rules_and_tools_are_checked() -> None:
    facts = ModelFacts(VOCABULARY, limits=Limits(max_choices=2))
    assert error_of(facts, n=3).param == "n"
    assert error_of(facts, tools=[TOOL, TOOL]).param == "tools[1].function.name"
    assert error_of(facts, logit_bias={"x" * 9: 1}).param == "logit_bias.xxxxxxxxx"
