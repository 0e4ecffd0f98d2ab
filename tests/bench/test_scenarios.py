"""Workloads that do more than send a set of concurrent requests."""

import asyncio
import json
from typing import Any

import jsonschema
import pytest

from friendli_endpoint.bench.scenarios import ANSWER_SCHEMA, is_answer
from friendli_endpoint.bench.wire import BenchError
from friendli_endpoint.bench.workload import RoundInputs
from tests.bench.loopback import chunk, usage
from tests.bench.simulated import SHAPE, ScriptedServer, run_on, run_workload, texts

ANSWER = {"name": "Ada", "age": 36, "city": "Lima", "member": True, "scores": [1, 2, 3]}


@pytest.mark.parametrize(("name", "deep"), [("deep8", 16), ("mixed16", 2)])
def test_prefilled_prompts_are_the_same_in_all_rounds_of_a_run(name: str, deep: int) -> None:
    rounds = [texts(run_workload(name, seed, run_seed="r")[0])[:deep] for seed in ("a", "b")]
    assert rounds[0] == rounds[1]
    assert len(set(rounds[0])) == deep // 2, "each is prefilled, and measured"
    assert set(rounds[0]).isdisjoint(texts(run_workload(name, run_seed="s")[0]))


def test_a_deep_stream_runs_among_short_ones() -> None:
    requests, outcome = run_workload("mixed16")
    first, again, *short = requests
    assert first.messages == again.messages and (first.tokens, again.tokens) == (1, 64)
    assert [len(text.split()) for text in texts(short)] == [24] * 15
    assert len(texts([again])[0].split()) == SHAPE.words_for(3800)
    assert len(outcome.first_tokens) == 16 and outcome.value > 0


def test_deep_streams_are_prefilled_before_they_are_measured() -> None:
    requests, outcome = run_workload("deep8")
    before, measured = requests[:8], requests[8:]
    assert [request.tokens for request in before] == [1] * 8
    assert [request.tokens for request in measured] == [48] * 8
    assert texts(before) == texts(measured)
    assert {len(text.split()) for text in texts(measured)} == {3790}
    assert len(outcome.first_tokens) == 8


def test_a_chat_turn_sends_all_previous_messages() -> None:
    requests, outcome = run_workload("conversation")
    assert len(requests) == 8 * 6
    last_turns = [request.messages for request in requests if len(request.messages) == 11]
    assert len(last_turns) == 8
    for messages in last_turns:
        assert [message["role"] for message in messages] == ["user", "assistant"] * 5 + ["user"]
        assert all(len(m["content"].split()) == 24 for m in messages if m["role"] == "user")
        # Each turn adds one answer and one question to the previous request.
        shorter = [request.messages for request in requests if request.messages == messages[:9]]
        assert len(shorter) == 1
    assert len(outcome.first_tokens) == 8 * 5


def test_the_long_prompt_is_sent_while_all_streams_run_and_then_cancels_them() -> None:
    server = ScriptedServer()
    outcome = asyncio.run(run_on("long", server, RoundInputs("a", SHAPE)))
    *streams, late = server.requests
    assert [request.tokens for request in streams] == [1024] * 8
    assert (len(texts([late])[0].split()), late.tokens) == (3990, 16)
    assert server.ended == [late]
    # Each stream had begun and had not finished.
    assert 8 * 8 <= len(outcome.gaps) + 8 < 8 * 1024
    assert 0 < outcome.value <= max(outcome.gaps)
    assert len(outcome.first_tokens) == 1


def test_a_stream_that_ends_before_the_long_prompt_is_an_error() -> None:
    def brief(_body: Any) -> list[Any]:
        return [chunk("word"), chunk(finish="stop"), usage(10, 1)]

    with pytest.raises(BenchError, match="ended before"):
        run_workload("long", reply=brief)


def test_answers_that_violate_the_schema_count_as_failed() -> None:
    answers = iter([json.dumps(ANSWER)] * 6 + ["{", json.dumps(ANSWER | {"age": "36"})])

    def reply(_body: Any) -> list[Any]:
        return [chunk(next(answers)), chunk(finish="stop"), usage(30, 20)]

    requests, outcome = run_workload("schema8", reply=reply)
    assert len(requests) == 8
    assert all(request.schema is ANSWER_SCHEMA for request in requests)
    assert outcome.failed == 2
    assert outcome.value > 0


@pytest.mark.parametrize(
    "change",
    [
        {"name": 3},
        {"name": "x" * 21},
        {"age": 121},
        {"age": True},
        {"age": 1.5},
        {"city": "Paris"},
        {"member": 1},
        {"scores": [1, 2]},
        {"scores": [1, 2, 101]},
        {"scores": "123"},
        {"more": 1},
    ],
)
def test_the_answer_check_agrees_with_the_schema(change: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(ANSWER_SCHEMA)
    assert is_answer(json.dumps(ANSWER)) and validator.is_valid(ANSWER)
    assert not is_answer(json.dumps(ANSWER | change))
    assert not validator.is_valid(ANSWER | change)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"name": "Ada"}', json.dumps(ANSWER) + "x"])
def test_a_text_that_is_not_an_object_with_all_fields_is_invalid(text: str) -> None:
    assert not is_answer(text)
