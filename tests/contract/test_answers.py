"""What the parameters do, on the real model; no test knows a sentence of it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from friendli._accumulate import Accumulator
from friendli.models import StreamedChatData
from tests.contract.conftest import CONTEXT, Endpoint

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


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """What must be the same: all but the id and the time."""
    return {key: answer[key] for key in ("choices", "usage", "model")}


@pytest.mark.parametrize("name", CASES)
def test_the_stream_equals_the_whole(name: str, endpoint: Endpoint) -> None:
    asked = {"max_tokens": 24, **CASES[name]}
    whole = endpoint.whole(**asked)
    accumulator = Accumulator()
    for chunk in endpoint.stream(**asked, stream_options={"include_usage": True}):
        accumulator.add(StreamedChatData.model_validate(chunk))
    streamed = accumulator.completion().model_dump()
    if "seed" not in asked:
        for answer in (whole, streamed):
            for choice in answer["choices"]:
                del choice["seed"]
    assert told(streamed) == told(whole)


def test_six_at_once_get_what_each_gets_alone(endpoint: Endpoint) -> None:
    long = "The tide comes in and the tide goes out. " * 60
    requests: list[dict[str, Any]] = [
        {"seed": 1, "max_tokens": 40},
        {"seed": 2, "max_tokens": 30, "n": 2, "temperature": 0.7},
        {"seed": 3, "max_tokens": 16, "content": long},
        {"temperature": 0, "max_tokens": 40, "content": "Count to ten.", "seed": 0},
        {"seed": 4, "max_tokens": 33, "top_p": 0.9, "logprobs": True, "top_logprobs": 3},
        {"seed": 5, "max_tokens": 12, "content": "Hi", "stop": [" "]},
    ]
    alone = [told(endpoint.whole(**request)) for request in requests]
    with ThreadPoolExecutor(len(requests)) as pool:
        together = list(pool.map(lambda request: told(endpoint.whole(**request)), requests))
    assert together == alone


def test_seeds(endpoint: Endpoint) -> None:
    def texts(**asked: Any) -> list[str]:
        choices = endpoint.whole(max_tokens=16, **asked)["choices"]
        return [choice["message"]["content"] for choice in choices]

    three = texts(seed=11, n=3)
    assert three == [texts(seed=11 + index)[0] for index in range(3)]
    assert texts(seed=[13, 11], n=2) == [three[2], three[0]]
    assert len(set(three)) > 1
    unseeded = endpoint.whole(max_tokens=16)["choices"][0]
    assert unseeded["message"]["content"] == texts(seed=unseeded["seed"])[0]


def test_more_choices_than_sequences(endpoint: Endpoint) -> None:
    answer = endpoint.whole(n=11, seed=1, max_tokens=6)
    assert [choice["index"] for choice in answer["choices"]] == list(range(11))
    one = endpoint.whole(n=1, seed=11, max_tokens=6)["choices"][0]
    assert answer["choices"][10]["message"] == one["message"]


def test_stop_strings_cut_and_never_leak(endpoint: Endpoint) -> None:
    free = endpoint.whole(temperature=0, max_tokens=40)["choices"][0]["message"]["content"]
    stop = free[10:14]
    cut = endpoint.whole(temperature=0, max_tokens=40, stop=[stop])["choices"][0]
    assert cut["message"]["content"] == free[: free.index(stop)]
    assert cut["finish_reason"] == "stop"
    pieces = [
        chunk["choices"][0]["delta"].get("content", "")
        for chunk in endpoint.stream(temperature=0, max_tokens=40, stop=[stop])
    ]
    assert "".join(pieces) == cut["message"]["content"]


def test_lengths(endpoint: Endpoint) -> None:
    answer = endpoint.whole(max_tokens=5, logit_bias=dict.fromkeys("024", False))
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 5
    long = endpoint.post(
        {"model": "m", "messages": [{"role": "user", "content": "sea " * CONTEXT}]}
    )
    assert long.status == 400
    error = long.error()
    assert error["code"] == "context_length_exceeded" and str(CONTEXT) in error["message"]
    filled = endpoint.whole(content="sea " * (CONTEXT - 60), logit_bias=dict.fromkeys("024", -100))
    assert filled["choices"][0]["finish_reason"] == "length"
    assert filled["usage"]["total_tokens"] == CONTEXT


def test_log_probabilities(endpoint: Endpoint) -> None:
    choice = endpoint.whole(max_tokens=8, logprobs=True, top_logprobs=3, seed=1)["choices"][0]
    entries = choice["logprobs"]["content"]
    text = b"".join(bytes(entry["bytes"]) for entry in entries).decode(errors="ignore")
    assert text == choice["message"]["content"]
    for entry in entries:
        tops = [top["logprob"] for top in entry["top_logprobs"]]
        assert len(tops) == 3 and tops == sorted(tops, reverse=True)
        assert -9999 <= entry["logprob"] <= tops[0] <= 0
    bare = endpoint.whole(max_tokens=3, logprobs=True, top_logprobs=0, seed=1)["choices"][0]
    assert all(entry["top_logprobs"] == [] for entry in bare["logprobs"]["content"])
    greedy = endpoint.whole(max_tokens=6, temperature=0, logprobs=True, top_logprobs=1)
    for entry in greedy["choices"][0]["logprobs"]["content"]:
        assert entry["logprob"] == entry["top_logprobs"][0]["logprob"]


def test_tokens_banned_and_ends_replaced(endpoint: Endpoint) -> None:
    asked = {"temperature": 0, "max_tokens": 12, "logprobs": True, "top_logprobs": 1}
    free = endpoint.whole(**asked)["choices"][0]["logprobs"]["content"]
    banned = free[0]["token"]
    biased = endpoint.whole(**asked, logit_bias={banned: False})["choices"][0]
    assert banned not in [entry["token"] for entry in biased["logprobs"]["content"]]
    fifth = endpoint.whole(**asked)["usage"]
    assert fifth["completion_tokens"] == 12
    penalised = endpoint.whole(**asked, repetition_penalty=2.0)["choices"][0]
    assert penalised["logprobs"]["content"] != free


def test_nulls_are_absent(endpoint: Endpoint) -> None:
    names = (
        "chat_template_kwargs eos_token frequency_penalty logit_bias logprobs min_p n "
        "parallel_tool_calls presence_penalty repetition_penalty stop stream stream_options "
        "parse_reasoning include_reasoning tool_choice top_k top_logprobs top_p xtc_threshold "
        "xtc_probability tools min_tokens response_format reasoning_effort reasoning_budget"
    ).split()
    nulls = endpoint.whole(**dict.fromkeys(names), seed=3, max_tokens=6)
    assert told(nulls) == told(endpoint.whole(seed=3, max_tokens=6))
