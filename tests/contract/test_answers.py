"""Streams, choices and lengths on the real model, without assumptions about its text."""

from typing import Any

import pytest

from friendli._streaming.accumulate import Accumulator
from friendli.models import StreamedChatData
from tests.contract.conftest import CONTEXT, Endpoint
from tests.contract.live import counted

CASES: dict[str, dict[str, Any]] = {
    "plain": {"seed": 1},
    "greedy": {"temperature": 0},
    "nucleus": {"seed": 2, "temperature": 0.8, "top_p": 0.9, "top_k": 50, "min_p": 0.01},
    "stop": {"seed": 3, "stop": ["e", " the"], "temperature": 0.5},
    "choices": {"seed": 4, "n": 3, "logprobs": True, "top_logprobs": 2},
    "penalties": {
        "seed": 5,
        "frequency_penalty": 1,
        "repetition_penalty": 1.2,
        "xtc_threshold": 0.1,
        "xtc_probability": 0.5,
    },
    "minimum": {"seed": 6, "min_tokens": 10, "stop": "a"},
    "json": {"seed": 7, "response_format": {"type": "json_object"}},
    "any bytes": {"seed": 8, "temperature": 3.0, "logprobs": True},
}


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields that must be equal: all but id, time and cached tokens."""
    return {**{key: answer[key] for key in ("choices", "model")}, "usage": counted(answer["usage"])}


@pytest.mark.parametrize("name", CASES)
def test_a_stream_equals_the_completion(name: str, endpoint: Endpoint) -> None:
    fields = {"max_tokens": 24, **CASES[name]}
    complete = endpoint.complete(**fields)
    accumulator = Accumulator()
    for chunk in endpoint.stream(**fields, stream_options={"include_usage": True}):
        accumulator.add(StreamedChatData.model_validate(chunk))
    streamed = accumulator.completion().model_dump()
    if "seed" not in fields:
        for answer in (complete, streamed):
            for choice in answer["choices"]:
                del choice["seed"]
    assert comparable(streamed) == comparable(complete)


def test_a_request_can_have_more_choices_than_sequences(endpoint: Endpoint) -> None:
    answer = endpoint.complete(n=11, seed=1, max_tokens=6)
    assert [choice["index"] for choice in answer["choices"]] == list(range(11))
    last = endpoint.complete(n=1, seed=11, max_tokens=6)["choices"][0]
    assert answer["choices"][10]["message"] == last["message"]


def test_answers_end_at_max_tokens_and_at_the_end_of_the_context(endpoint: Endpoint) -> None:
    answer = endpoint.complete(max_tokens=5, logit_bias=dict.fromkeys("024", False))
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 5
    long = endpoint.post(
        {"model": "m", "messages": [{"role": "user", "content": "sea " * CONTEXT}]}
    )
    assert long.status == 400
    error = long.error()
    assert error["code"] == "context_length_exceeded" and str(CONTEXT) in error["message"]
    filled = endpoint.complete(
        content="sea " * (CONTEXT - 60), logit_bias=dict.fromkeys("024", -100)
    )
    assert filled["choices"][0]["finish_reason"] == "length"
    assert filled["usage"]["total_tokens"] == CONTEXT
