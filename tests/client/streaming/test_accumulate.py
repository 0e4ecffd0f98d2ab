from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli._streaming.accumulate import Accumulator
from friendli.models import ContainerChatCompleteSuccess, StreamedChatData
from friendli.types import UNSET

from ..wire import chunk

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def accumulate(*chunks: dict[str, Any]) -> ContainerChatCompleteSuccess:
    accumulator = Accumulator()
    for raw in chunks:
        accumulator.add(StreamedChatData.model_validate(raw))
    return accumulator.completion()


def chunk_of(index: int = 0, finish: str | None = None, /, **changes: Any) -> dict[str, Any]:
    delta = changes.pop("delta", {})
    choice = {"index": index, "delta": delta, "finish_reason": finish, **changes}
    return {**chunk(), "choices": [choice]}


def split(text: str, cuts: list[int]) -> list[str]:
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(places)] or [""]


texts = st.text(max_size=12)
cuts = st.lists(st.integers(0, 12), max_size=4)
entries = st.builds(
    lambda token, top: {
        "token": token,
        "logprob": -0.5,
        "top_logprobs": [{"token": token, "logprob": -0.5, "bytes": [1]}] * top,
        "bytes": list(token.encode(errors="replace")),
    },
    texts,
    st.integers(0, 2),
)
calls = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.text(min_size=1, max_size=4),
            "type": st.just("function"),
            "function": st.fixed_dictionaries(
                {"arguments": texts, "name": st.text(min_size=1, max_size=4)}
            ),
        }
    ),
    min_size=1,
    max_size=3,
)
messages = st.fixed_dictionaries(
    {"role": st.just("assistant")},
    optional={
        "content": st.none() | texts,
        "reasoning_content": st.none() | texts,
        "tool_calls": st.none() | calls,
    },
)
choices = st.lists(
    st.fixed_dictionaries(
        {"message": messages, "finish_reason": st.sampled_from(["stop", "length", "tool_calls"])},
        optional={
            "logprobs": st.none()
            | st.fixed_dictionaries({"content": st.lists(entries, min_size=1, max_size=3)}),
            "seed": st.integers(0, 2**53),
        },
    ),
    min_size=1,
    max_size=3,
)


def streamed(choice: dict[str, Any], cut: list[int]) -> list[dict[str, Any]]:
    """Split a choice of a whole answer into the chunks of a stream."""
    index, message = choice["index"], choice["message"]
    first: dict[str, Any] = {"delta": {"role": message["role"]}}
    if "seed" in choice:
        first["seed"] = choice["seed"]
    chunks = [chunk_of(index, **first)]
    for name in ("reasoning_content", "content"):
        if name in message:
            text = message[name]
            parts: list[Any] = [None] if text is None else split(text, cut)
            chunks += [chunk_of(index, delta={name: part}) for part in parts]
    if message.get("tool_calls", 0) is None:
        chunks.append(chunk_of(index, delta={"tool_calls": None}))
    for number, call in enumerate(message.get("tool_calls") or []):
        head = {**call, "index": number, "function": {**call["function"], "arguments": ""}}
        chunks.append(chunk_of(index, delta={"tool_calls": [head]}))
        for part in split(call["function"]["arguments"], cut):
            tail = {"index": number, "function": {"arguments": part}}
            chunks.append(chunk_of(index, delta={"tool_calls": [tail]}))
    if "logprobs" in choice:
        found = (choice["logprobs"] or {}).get("content")
        if found is None:
            chunks.append(chunk_of(index, logprobs=None))
        for entry in found or []:
            chunks.append(chunk_of(index, logprobs={"content": [entry]}))
    chunks.append(chunk_of(index, choice["finish_reason"]))
    return chunks


@given(choices, cuts, st.randoms(use_true_random=False))
def test_accumulated_stream_equals_the_whole_answer(
    drawn: list[dict[str, Any]], cut: list[int], order: Any
) -> None:
    whole = {
        **chunk(),
        "object": "chat.completion",
        "choices": [{**choice, "index": index} for index, choice in enumerate(drawn)],
        "usage": USAGE,
    }
    queues = [streamed(choice, cut) for choice in whole["choices"]]
    chunks = []
    while any(queues):  # choices interleave in any order
        chunks.append(order.choice([queue for queue in queues if queue]).pop(0))
    chunks.append({**chunk(), "usage": USAGE})
    completion = accumulate(*chunks)
    assert completion == ContainerChatCompleteSuccess.model_validate(whole)
    assert json.loads(completion.model_dump_json()) == json.loads(
        ContainerChatCompleteSuccess.model_validate(whole).model_dump_json()
    )


class TestRules:
    def test_completion_without_chunks_raises_value_error(self) -> None:
        with pytest.raises(ValueError, match="no chunk"):
            Accumulator().completion()

    def test_unfinished_choices_have_no_finish_reason(self) -> None:
        accumulator = Accumulator()
        accumulator.add(StreamedChatData.model_validate(chunk_of(1, delta={"content": "a"})))
        accumulator.add(StreamedChatData.model_validate(chunk_of(0, "stop")))
        assert accumulator.unfinished() == [1]
        assert accumulator.completion().choices[1].finish_reason is UNSET

    def test_completion_is_unaffected_by_later_chunks(self) -> None:
        accumulator = Accumulator()
        logprob = {"content": [{"token": "a", "logprob": -1.0, "top_logprobs": []}]}
        first = StreamedChatData.model_validate(chunk_of(delta={"content": "a"}, logprobs=logprob))
        accumulator.add(first)
        early = accumulator.completion()
        before = early.model_dump()
        accumulator.add(first)
        assert early.model_dump() == before
        assert first.model_dump()["choices"][0]["logprobs"] == logprob
        assert accumulator.completion().choices[0].message.content == "aa"

    def test_unknown_fields_are_joined(self) -> None:
        completion = accumulate(
            chunk_of(delta={"refusal": "no"}, odd=1) | {"system_fingerprint": "a"},
            chunk_of(delta={"refusal": " way"}, odd=2) | {"system_fingerprint": "b"},
            chunk_of(0, "stop", delta={"refusal": None}),
        )
        assert completion.model_extra == {"system_fingerprint": "b"}
        assert completion.choices[0].model_extra == {"odd": 2}
        assert completion.choices[0].message.model_extra == {"refusal": "no way"}

    def test_repeated_name_of_a_tool_call_is_kept_once(self) -> None:
        call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}
        rest = {"index": 0, "id": "", "type": None, "function": {"name": "f", "arguments": "}"}}
        completion = accumulate(
            chunk_of(delta={"tool_calls": [call]}),
            chunk_of(0, "tool_calls", delta={"tool_calls": [rest]}),
        )
        assert completion.model_dump()["choices"][0]["message"]["tool_calls"] == [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ]
