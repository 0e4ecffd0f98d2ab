"""Preparing a request as a job: the same result as in this process, as data."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.conversation import ChatDefaults
from friendli_endpoint.chat.prepared import PreparedRequest
from friendli_endpoint.chat.request.rules import Limits
from friendli_endpoint.chat.worker import decode_outcome, encode_body, load
from friendli_endpoint.generation import RequestError
from tests.chat.random_requests import MODELS, SOURCES, VOCABULARY, bodies
from tests.support.chat import body_of
from tests.support.scripted import ScriptedVocabulary

LOAD_VOCABULARY = partial(ScriptedVocabulary, context=VOCABULARY.context)
MAKE_HANDLER = load(LOAD_VOCABULARY)
HANDLERS = {source: MAKE_HANDLER(source, VOCABULARY.context, ChatDefaults()) for source in SOURCES}


def ignore(_field: str) -> None:
    pass


def without_id(prepared: PreparedRequest) -> PreparedRequest:
    """Returns a prepared request without its random id."""
    return replace(prepared, request=replace(prepared.request, request_id=""))


@settings(max_examples=200)
@given(st.sampled_from(SOURCES), bodies())
def test_a_job_returns_what_the_model_prepares(source: str, fields: dict[str, Any]) -> None:
    body = body_of(**{"seed": 1, **fields})
    result = decode_outcome(HANDLERS[source](encode_body(body), ignore)).result
    try:
        expected = MODELS[source].prepare(body)
    except RequestError as error:
        assert isinstance(result, RequestError)
        assert vars(result) == vars(error)
    else:
        assert isinstance(result, PreparedRequest)
        assert without_id(result) == without_id(expected)


def test_banned_tokens_survive_the_job() -> None:
    job = encode_body(body_of(logit_bias={"5": -100}))
    result = decode_outcome(HANDLERS[SOURCES[0]](job, ignore)).result
    assert isinstance(result, PreparedRequest)
    (choice,) = result.request.choices
    assert choice.logit_bias == {5: float("-inf")}


def test_a_rejection_keeps_every_attribute_of_the_error() -> None:
    handle = MAKE_HANDLER(SOURCES[0], VOCABULARY.context, ChatDefaults(limits=Limits(2)))
    result = decode_outcome(handle(encode_body(body_of(n=3)), ignore)).result
    assert isinstance(result, RequestError)
    assert (result.param, result.status) == ("n", 400)


@pytest.mark.parametrize(
    "number", [2**63, 2**64, 10**30, 10**400], ids=["2^63", "2^64", "30", "400"]
)
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "top_k", "seed"])
def test_integers_of_any_size_are_transported(name: str, number: int) -> None:
    for source in SOURCES:
        fields = (
            {name: number} if source == SOURCES[0] else {name: number, "reasoning_budget": number}
        )
        result = decode_outcome(HANDLERS[source](encode_body(body_of(**fields)), ignore)).result
        assert isinstance(result, PreparedRequest)
        context = VOCABULARY.context - len(result.request.prompt_ids)
        assert result.request.max_tokens == context
        assert result.request.choices[0].top_k in (0, VOCABULARY.size)


def test_compilations_are_counted_for_each_job() -> None:
    handle = MAKE_HANDLER(SOURCES[0], VOCABULARY.context, ChatDefaults())
    job = encode_body(body_of(response_format={"type": "regex", "schema": "[ab]{7}"}))
    first, second = (decode_outcome(handle(job, ignore)).compile_seconds for _ in range(2))
    assert len(first) == 1 and first[0] > 0
    assert second == ()


@pytest.mark.parametrize(
    ("fields", "reported"),
    [
        ({}, ["tools", "messages", "response_format", ""]),
        (
            {"chat_template_kwargs": {"a": 1}},
            ["tools", "chat_template_kwargs", "response_format", ""],
        ),
        (
            {"messages": [{"role": "assistant", "content": "a", "prefix": True}]},
            ["tools", "messages", "response_format", "messages", ""],
        ),
    ],
)
def test_a_field_is_reported_before_it_is_processed(
    fields: dict[str, Any], reported: list[str]
) -> None:
    found: list[str] = []
    HANDLERS[SOURCES[0]](encode_body(body_of(**fields)), found.append)
    assert found == reported


def test_an_outcome_of_another_form_is_an_error() -> None:
    with pytest.raises(ValueError, match="Outcome"):
        decode_outcome(b"\x80")


BIG = 10**4_000


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": BIG},
        {"max_completion_tokens": BIG},
        {"top_k": BIG},
        {"reasoning_budget": BIG},
        {"seed": BIG},
        {"seed": [BIG]},
        {"logit_bias": {"5": BIG}},
        *(
            {"tools": [{"function": {"name": "f", "parameters": {"properties": {"a": schema}}}}]}
            for schema in (
                {"minimum": -BIG, "maximum": BIG},
                {"exclusiveMaximum": BIG},
                {"maxItems": BIG, "maxLength": BIG, "maxProperties": BIG},
                {"default": BIG, "examples": [BIG]},
            )
        ),
    ],
)
def test_integers_of_any_size_survive_the_job(fields: dict[str, Any]) -> None:
    context = VOCABULARY.context
    source = next(source for source in SOURCES if "<think>" in source)
    result = decode_outcome(HANDLERS[source](encode_body(body_of(**fields)), ignore)).result
    assert isinstance(result, PreparedRequest)
    assert result.request.max_tokens <= context - result.request.num_prompt_tokens
