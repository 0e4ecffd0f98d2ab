"""Requests through chat and engine, on a scripted backend: guarantees for every request."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli._streaming.accumulate import Accumulator
from friendli.models import (
    ContainerChatCompleteSuccess,
    DedicatedChatCompletionBody,
    StreamedChatData,
)
from friendli_endpoint.chat.conversation import ChatDefaults, ChatModel
from friendli_endpoint.chat.output.response_builder import ResponseBuilder, TextDelta
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.generation import Generated, TokenStep
from tests.chat.random_requests import (
    MODELS,
    OPENED,
    PLAIN,
    RULES,
    SOURCES,
    VOCABULARY,
    babble,
    bodies,
    budgeted,
)
from tests.support.chat import body_of
from tests.support.scripted import Inbox, serving


def answer_of(
    engine: EngineLoop, source: str, body: dict[str, Any], stream: bool
) -> tuple[ContainerChatCompleteSuccess, list[TokenStep], int]:
    """Returns the whole answer of a request, its steps, and the number of its usage chunks."""
    fields = {**body, "stream": stream}
    if stream:
        fields["stream_options"] = {"include_usage": True}
    wire = DedicatedChatCompletionBody.model_validate_json(json.dumps(fields), strict=True)
    response = MODELS[source].respond(MODELS[source].prepare(wire))
    inbox = Inbox(len(response.request.choices))
    engine.submit(response.request, inbox)
    inbox.wait()
    assert inbox.failure is None
    chunks = response.opening()
    for step in inbox.steps:
        assert not response.finished
        new = response.read(Generated((step,), 0.0))
        chunks += (full_chunk(response, chunk) for chunk in new)
    assert response.finished
    usages = sum(bool(chunk.usage) for chunk in chunks)
    if not stream:
        return response.completion(), inbox.steps, usages
    accumulator = Accumulator()
    for chunk in chunks:
        assert chunk.usage or chunk.choices
        accumulator.add(chunk)
    return accumulator.completion(), inbox.steps, usages


def full_chunk(response: ResponseBuilder, chunk: StreamedChatData | TextDelta) -> StreamedChatData:
    return response.text_chunk(*chunk) if isinstance(chunk, TextDelta) else chunk


def plain(answer: ContainerChatCompleteSuccess) -> dict[str, Any]:
    return answer.model_dump(exclude={"id", "created"})


cases = given(
    st.sampled_from(SOURCES),
    bodies(),
    st.one_of(st.none(), st.integers(1, 12)),
)


@settings(max_examples=120, deadline=None)
@cases
def test_a_stream_accumulates_to_the_whole_answer_for_any_batch_size(
    source: str, body: dict[str, Any], budget: int | None
) -> None:
    body = budgeted(source, body, budget)
    with serving(
        babble, slots=1, vocabulary=VOCABULARY, make_guide=RULES.guide, max_chunk_tokens=64
    ) as (
        engine,
        _,
    ):
        whole, steps, usages = answer_of(engine, source, body, stream=False)
    with serving(
        babble, slots=3, vocabulary=VOCABULARY, make_guide=RULES.guide, max_chunk_tokens=9
    ) as (
        engine,
        _,
    ):
        streamed, _, streamed_usages = answer_of(engine, source, body, stream=True)
    assert plain(streamed) == plain(whole)
    assert usages == streamed_usages == 1
    assert whole.usage
    assert whole.usage.completion_tokens == sum(step.token_id is not None for step in steps)
    assert [choice.index for choice in whole.choices] == list(range(body["n"]))
    assert [choice.seed for choice in whole.choices] == [
        body["seed"] + index for index in range(body["n"])
    ]


@settings(max_examples=120, deadline=None)
@cases
def test_every_answer_satisfies_its_request(
    source: str, body: dict[str, Any], budget: int | None
) -> None:
    body = budgeted(source, body, budget)
    with serving(babble, slots=2, vocabulary=VOCABULARY, make_guide=RULES.guide) as (engine, _):
        answer, steps, _ = answer_of(engine, source, body, stream=False)
    for choice in answer.choices:
        own_steps = [step for step in steps if step.choice == choice.index]
        _check_end(body, choice, own_steps)
        _check_logprobs(body, choice, own_steps)
        _check_form(body, choice)
        if not body.get("include_reasoning", True) or source == PLAIN:
            assert not choice.message.reasoning_content


def _check_end(body: dict[str, Any], choice: Any, steps: list[TokenStep]) -> None:
    assert len(steps) <= body["max_tokens"] + (steps[-1].token_id is None)
    assert all(step.findings.finish is None for step in steps[:-1])
    length = choice.finish_reason == "length"
    assert length == (steps[-1].findings.finish == "length")
    if length and steps[-1].token_id is not None:
        assert len(steps) == body["max_tokens"]
    ends = set(body.get("eos_token") or VOCABULARY.end_ids)
    tokens = [step.token_id for step in steps]
    assert not ends & set(tokens[:-1])
    minimum = body.get("min_tokens", 0)
    assert not ends & set(tokens[:minimum])
    if choice.finish_reason == "stop":
        assert len(steps) >= minimum
    if not minimum and body.get("parse_reasoning", True):
        assert not any(stop in (choice.message.content or "") for stop in body["stop"])


def _check_logprobs(body: dict[str, Any], choice: Any, steps: list[TokenStep]) -> None:
    if not body.get("logprobs"):
        assert not choice.logprobs
        return
    assert choice.logprobs.content is not None
    assert all(len(entry.top_logprobs) == body["top_logprobs"] for entry in choice.logprobs.content)
    reported = [bytes(entry.bytes_) for entry in choice.logprobs.content]
    ends = set(body.get("eos_token") or VOCABULARY.end_ids)
    tokens = [step.token_id for step in steps if step.token_id is not None]
    written = [VOCABULARY.token_bytes(token) for token in tokens if token not in ends]
    if body.get("include_reasoning", True) or not body.get("parse_reasoning", True):
        assert reported == written[: len(reported)]
        if choice.finish_reason == "length" and not body["stop"]:
            assert reported == written


def _check_form(body: dict[str, Any], choice: Any) -> None:
    content, calls = choice.message.content or "", choice.message.tool_calls or []
    separate = body.get("parse_reasoning", True)
    for call in calls if choice.finish_reason == "tool_calls" else ():
        assert call.function.name == "look"
        arguments = json.loads(call.function.arguments)
        assert set(arguments) <= {"at", "n"} and len(arguments["at"]) <= 6
    if choice.finish_reason == "tool_calls":
        assert calls and len({call.id for call in calls}) == len(calls)
    if body.get("tool_choice") == "required":
        assert choice.finish_reason in ("tool_calls", "length") or body["stop"]
    if body.get("tool_choice") == "required" and separate:
        # A truncated tag, or a truncated call before its name is known, is text.
        truncated = ("<think>", '<tool_call>\n{"name": "look", "arguments": {')
        assert any(text.startswith(content.strip()) for text in truncated)
        assert content.strip() == "" or choice.finish_reason != "tool_calls"
    if body.get("parallel_tool_calls") is False:
        assert len(calls) <= 1
    form = body.get("response_format", {})
    if form and separate and choice.finish_reason == "stop" and not body["stop"]:
        last = body["messages"][-1]
        whole = last["content"] + content if last["role"] == "assistant" else content
        if form["type"] == "regex":
            assert re.fullmatch("(a|é|日本){2,5}", whole)
        else:
            assert set(json.loads(whole)) == {"a", "b"}


@pytest.mark.parametrize("parse", [True, False])
def test_the_operator_sets_the_default_of_parse_reasoning(parse: bool) -> None:
    defaults = ChatDefaults(parse_reasoning=parse)
    model = ChatModel(RULES, OPENED, VOCABULARY.context, defaults)
    messages = [{"role": "user", "content": "Hi"}]
    response = model.respond(model.prepare(body_of(messages=messages, seed=1, max_tokens=9)))
    with serving(babble, vocabulary=VOCABULARY, make_guide=RULES.guide) as (engine, _):
        inbox = Inbox(1)
        engine.submit(response.request, inbox)
        response.opening()
        response.read(Generated(tuple(inbox.wait().steps), 0.0))
    message = response.completion().choices[0].message
    assert bool(message.reasoning_content) == parse
    assert bool(message.content) != parse
