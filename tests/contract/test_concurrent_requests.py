"""Sixteen mixed concurrent requests: each gets the same answer as when it runs alone."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from friendli._streaming.accumulate import Accumulator
from friendli.models import StreamedChatData
from tests.contract.conftest import Endpoint
from tests.contract.live import counted

LONG = "The quick brown fox jumps over the lazy dog, and then it sleeps. " * 38
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
MIXED: list[dict[str, Any]] = [
    {"max_tokens": 30, "min_tokens": 30, "temperature": 1.2},
    {"max_tokens": 20, "n": 2, "logprobs": True, "top_logprobs": 2},
    {"max_tokens": 16, "temperature": 0, "logprobs": True, "top_logprobs": 5},
    {"max_tokens": 16, "n": 2, "top_p": 0.9, "stop": ["the", "."]},
    {"max_tokens": 12, "frequency_penalty": 1, "repetition_penalty": 1.2},
    {"max_tokens": 8, "messages": [{"role": "user", "content": LONG}], "logprobs": True},
    {"max_tokens": 8, "messages": [{"role": "user", "content": LONG + "Why?"}], "logprobs": True},
    {
        "max_tokens": 40,
        "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
    },
    {"max_tokens": 12, "response_format": {"type": "regex", "schema": "[a-z]{3}( [a-z]{3}){2}"}},
    {"max_tokens": 60, "tools": [TOOL], "tool_choice": "required"},
    {"max_tokens": 16, "tools": [TOOL]},
    {"max_tokens": 16, "model": "m:one", "logprobs": True},
    {"max_tokens": 16, "model": "m:one", "n": 2, "top_k": 20, "min_p": 0.02},
    {"max_tokens": 16, "xtc_threshold": 0.1, "xtc_probability": 0.5},
    {"max_tokens": 16, "logit_bias": {"28": -100, "30": 3}, "presence_penalty": 1},
    {"max_tokens": 16, "messages": [{"role": "user", "content": "Hello!"}], "eos_token": [2, 28]},
]


@pytest.fixture(scope="module")
def alone(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Returns the answer to each request when nothing else runs."""
    return [complete(endpoint, seed) for seed in range(len(MIXED))]


def complete(endpoint: Endpoint, seed: int) -> dict[str, Any]:
    return comparable(endpoint.complete(seed=seed, **MIXED[seed]))


def streamed(endpoint: Endpoint, seed: int) -> dict[str, Any]:
    accumulator = Accumulator()
    for chunk in endpoint.stream(seed=seed, stream_options={"include_usage": True}, **MIXED[seed]):
        accumulator.add(StreamedChatData.model_validate(chunk))
    return comparable(accumulator.completion().model_dump())


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields that must be equal: all but id, time and cached tokens."""
    return {**{key: answer[key] for key in ("choices", "model")}, "usage": counted(answer["usage"])}


@pytest.mark.parametrize("order", [1, 2])
def test_concurrent_answers_equal_those_without_load(
    endpoint: Endpoint, alone: list[dict[str, Any]], order: int
) -> None:
    """Every second request is streamed; the order determines the contents of the prefix cache."""
    seeds = random.Random(order).sample(range(len(MIXED)), len(MIXED))
    with ThreadPoolExecutor(len(MIXED)) as pool:
        futures = {
            seed: pool.submit(complete if index % 2 else streamed, endpoint, seed)
            for index, seed in enumerate(seeds)
        }
        together = {seed: future.result() for seed, future in futures.items()}
    for seed, expected in enumerate(alone):
        assert together[seed] == expected, MIXED[seed]


def test_loading_and_unloading_adapters_does_not_change_running_streams(
    endpoint: Endpoint, alone: list[dict[str, Any]]
) -> None:
    path = "/dedicated/v1/adapters"
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(streamed, endpoint, seed) for seed in (0, 11)]
        loaded = endpoint.send(path, {"route": "two", "file": "lora-1.gguf"})
        assert loaded.status == 201
        second = endpoint.complete(seed=11, **{**MIXED[11], "model": "m:two"})
        assert endpoint.send(f"{path}/two", None, "DELETE").status == 200
        assert [stream.result() for stream in running] == [alone[0], alone[11]]
    assert second["choices"][0]["logprobs"] != alone[11]["choices"][0]["logprobs"]
    rejected = endpoint.post({"model": "m:two", "messages": [{"role": "user", "content": "a"}]})
    assert rejected.status == 404
    assert rejected.error()["param"] == "model" and "one" in rejected.error()["message"]
