"""Requests through both rooms, on a scripted backend: what is promised for every one of them."""

import hashlib
import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from friendli._streaming.accumulate import Accumulator
from friendli.models import (
    ContainerChatCompleteSuccess,
    DedicatedChatCompletionBody,
    StreamedChatData,
)
from friendli_endpoint.chat.answer import Exchange, TextDelta
from friendli_endpoint.chat.conversation import ChatDefaults, ChatModel
from friendli_endpoint.engine.loop import EngineLoop
from friendli_endpoint.generation import TokenStep
from tests.support.scripted import Inbox, ScriptedVocabulary, serving

PLAIN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}"
    "<|im_start|>assistant\n"
)
REASONING = PLAIN + "{# <think> #}"
OPENED = PLAIN + "<think>\n"
VOCABULARY = ScriptedVocabulary(context=700)
MODELS = {source: ChatModel(VOCABULARY, source) for source in (PLAIN, REASONING, OPENED)}

LIKELY = [
    *map(VOCABULARY.byte, 'ab <>{}[]":,\n/1'),
    *map(VOCABULARY.token, ("STOP", "ST", "OP", "END", "é", "日本", " the", "</", "<|tool|>")),
    *map(VOCABULARY.byte, "é".encode()),
    *map(VOCABULARY.token, (b"caf\xc3", b"\xa9!", b"\xf0\x9f", b"\x99\x82 ")),
    0,
    2,
]


def babble(tokens: tuple[int, ...]) -> NDArray[np.float32]:
    """Logits by the history, that like what rules are about: ends, stops, tags, broken UTF-8."""
    digest = hashlib.blake2b(repr(tokens).encode(), digest_size=8).digest()
    random = np.random.default_rng(int.from_bytes(digest))
    logits = random.normal(-4, 1, VOCABULARY.size)
    logits[LIKELY] += 5
    for tag in (b"<think>", b"</think>", b"<tool_call>"):
        for length in range(1, len(tag)):
            if bytes(VOCABULARY.piece(t)[0] for t in tokens[-length:]) == tag[:length]:
                logits[VOCABULARY.byte(tag[length])] += 6
    return logits.astype(np.float32)


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "look",
            "parameters": {
                "type": "object",
                "properties": {"at": {"type": "string", "maxLength": 6}, "n": {"enum": [1, 2]}},
                "required": ["at"],
                "additionalProperties": False,
            },
        },
    }
]
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer", "maximum": 99}, "b": {"type": "boolean"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": "m",
        "messages": [{"role": "user", "content": draw(st.text(max_size=10))}],
        "max_tokens": draw(st.integers(1, 60)),
        "seed": draw(st.integers(0, 10**6)),
        "n": draw(st.integers(1, 3)),
        "temperature": draw(st.sampled_from([0, 0.7, 1.0, 1.5])),
        "stop": draw(
            st.lists(
                st.sampled_from(["STOP", "END", "é", "a", "ab", "日", "\n", "<", "</", " t"]),
                max_size=3,
            )
        ),
    }
    if draw(st.booleans()):
        body["logprobs"] = True
        body["top_logprobs"] = draw(st.integers(0, 3))
    for name, values in (
        ("top_p", [0.5, 0.9]),
        ("repetition_penalty", [1.2]),
        ("xtc_probability", [0.5]),
        ("xtc_threshold", [0.1]),
        ("logit_bias", [{"STOP": 5, "2": False}]),
        ("eos_token", [[VOCABULARY.token("END")], [0]]),
        ("parse_reasoning", [False]),
        ("include_reasoning", [False]),
    ):
        if draw(st.booleans()):
            body[name] = draw(st.sampled_from(values))
    match draw(st.sampled_from(["free", "min_tokens", "json", "regex", "tools", "required"])):
        case "min_tokens":
            body["min_tokens"] = draw(st.integers(1, body["max_tokens"]))
        case "json":
            schema = {"name": "s", "schema": SCHEMA}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        case "regex":
            body["response_format"] = {"type": "regex", "schema": "(a|é|日本){2,5}"}
        case "tools":
            body["tools"] = TOOLS
            body["parallel_tool_calls"] = draw(st.booleans())
        case "required":
            body["tools"], body["tool_choice"] = TOOLS, "required"
    return body


def budgeted(source: str, body: dict[str, Any], budget: int | None) -> dict[str, Any]:
    return {**body, "reasoning_budget": budget} if budget and source != PLAIN else body


def answered(
    engine: EngineLoop, source: str, body: dict[str, Any], stream: bool
) -> tuple[ContainerChatCompleteSuccess, list[TokenStep], int]:
    """A request's whole answer, its steps, and how many of its chunks carried usage."""
    asked = {**body, "stream": stream}
    if stream:
        asked["stream_options"] = {"include_usage": True}
    wire = DedicatedChatCompletionBody.model_validate_json(json.dumps(asked), strict=True)
    exchange = MODELS[source].accept(wire)
    inbox = Inbox(len(exchange.request.choices))
    engine.submit(exchange.request, inbox)
    inbox.wait()
    assert inbox.failure is None
    chunks = exchange.opening()
    for step in inbox.steps:
        assert not exchange.finished
        chunks += (written_out(exchange, chunk) for chunk in exchange.read([step]))
    assert exchange.finished
    usages = sum(bool(chunk.usage) for chunk in chunks)
    if not stream:
        return exchange.completion(), inbox.steps, usages
    accumulator = Accumulator()
    for chunk in chunks:
        assert chunk.usage or chunk.choices
        accumulator.add(chunk)
    return accumulator.completion(), inbox.steps, usages


def written_out(exchange: Exchange, chunk: StreamedChatData | TextDelta) -> StreamedChatData:
    return exchange.text_chunk(*chunk) if isinstance(chunk, TextDelta) else chunk


def plain(answer: ContainerChatCompleteSuccess) -> dict[str, Any]:
    return answer.model_dump(exclude={"id", "created"})


cases = given(
    st.sampled_from([PLAIN, REASONING, OPENED]),
    bodies(),
    st.one_of(st.none(), st.integers(1, 12)),
)


@settings(max_examples=120, deadline=None)
@cases
def test_a_stream_adds_up_to_the_whole_answer_at_any_load(
    source: str, body: dict[str, Any], budget: int | None
) -> None:
    body = budgeted(source, body, budget)
    with serving(babble, slots=1, vocabulary=VOCABULARY, full_piece=64) as (engine, _):
        whole, steps, usages = answered(engine, source, body, stream=False)
    with serving(babble, slots=3, vocabulary=VOCABULARY, full_piece=9) as (engine, _):
        streamed, _, streamed_usages = answered(engine, source, body, stream=True)
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
def test_what_every_answer_keeps_to(source: str, body: dict[str, Any], budget: int | None) -> None:
    body = budgeted(source, body, budget)
    with serving(babble, slots=2, vocabulary=VOCABULARY) as (engine, _):
        answer, steps, _ = answered(engine, source, body, stream=False)
    for choice in answer.choices:
        mine = [step for step in steps if step.choice == choice.index]
        _check_end(body, choice, mine)
        _check_logprobs(body, choice, mine)
        _check_form(body, choice)
        if not body.get("include_reasoning", True) or source == PLAIN:
            assert not choice.message.reasoning_content


def _check_end(body: dict[str, Any], choice: Any, steps: list[TokenStep]) -> None:
    assert len(steps) <= body["max_tokens"] + (steps[-1].token_id is None)
    assert all(step.finish is None for step in steps[:-1])
    length = choice.finish_reason == "length"
    assert length == (steps[-1].finish == "length")
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
    given = [bytes(entry.bytes_) for entry in choice.logprobs.content]
    ends = set(body.get("eos_token") or VOCABULARY.end_ids)
    written = [step.piece for step in steps if step.token_id not in {None, *ends}]
    if body.get("include_reasoning", True) or not body.get("parse_reasoning", True):
        assert given == written[: len(given)]
        if choice.finish_reason == "length" and not body["stop"]:
            assert given == written


def _check_form(body: dict[str, Any], choice: Any) -> None:
    content, calls = choice.message.content or "", choice.message.tool_calls or []
    apart = body.get("parse_reasoning", True)
    for call in calls if choice.finish_reason == "tool_calls" else ():
        assert call.function.name == "look"
        arguments = json.loads(call.function.arguments)
        assert set(arguments) <= {"at", "n"} and len(arguments["at"]) <= 6
    if choice.finish_reason == "tool_calls":
        assert calls and len({call.id for call in calls}) == len(calls)
    if body.get("tool_choice") == "required":
        assert choice.finish_reason in ("tool_calls", "length") or body["stop"]
    if body.get("tool_choice") == "required" and apart:
        # A tag, or a call before its name is known, that is cut off is given as what it is.
        cut = ("<think>", '<tool_call>\n{"name": "look", "arguments": {')
        assert any(whole.startswith(content.strip()) for whole in cut)
        assert content.strip() == "" or choice.finish_reason != "tool_calls"
    if body.get("parallel_tool_calls") is False:
        assert len(calls) <= 1
    form = body.get("response_format", {})
    if form and apart and choice.finish_reason == "stop" and not body["stop"]:
        if form["type"] == "regex":
            assert re.fullmatch("(a|é|日本){2,5}", content)
        else:
            assert set(json.loads(content)) == {"a", "b"}


@pytest.mark.parametrize("parse", [True, False])
def test_the_operator_decides_on_reasoning_where_a_request_does_not(parse: bool) -> None:
    model = ChatModel(VOCABULARY, OPENED, ChatDefaults(parse_reasoning=parse))
    wire = DedicatedChatCompletionBody.model_validate(
        {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "seed": 1, "max_tokens": 9}
    )
    exchange = model.accept(wire)
    with serving(babble, vocabulary=VOCABULARY) as (engine, _):
        inbox = Inbox(1)
        engine.submit(exchange.request, inbox)
        exchange.opening()
        exchange.read(inbox.wait().steps)
    message = exchange.completion().choices[0].message
    assert bool(message.reasoning_content) == parse
    assert bool(message.content) != parse
