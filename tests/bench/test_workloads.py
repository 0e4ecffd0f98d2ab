"""What every workload asks for."""

import asyncio
import json
import time
from typing import Any

import jsonschema
import pytest

from friendli_endpoint.bench.load import Reception
from friendli_endpoint.bench.scenes import ANSWER_SCHEMA, is_answer
from friendli_endpoint.bench.wire import Address, BenchError, Request, body
from friendli_endpoint.bench.workload import Outcome, Shape, Stage
from friendli_endpoint.bench.workloads import WORKLOADS, chosen
from tests.bench.loopback import chunk, obedient, usage

SHAPE = Shape(overhead=10, per_word=1.0)
ADDRESS = Address("s", "http://s/", "friendli", end_tokens=(0, 2))
ANSWER = {"name": "Ada", "age": 36, "city": "Lima", "member": True, "scores": [1, 2, 3]}


class Scripted:
    """A server in this process: keeps requests, and answers each in one go."""

    def __init__(self, reply: Any = obedient) -> None:
        self.requests: list[Request] = []
        self.ended: list[Request] = []
        self.reply = reply

    async def __call__(self, reception: Reception) -> None:
        self.requests.append(reception.request)
        reception.sent = time.perf_counter()
        for payload in self.reply(json.loads(body(reception.request, ADDRESS))):
            reception.take(f"data: {json.dumps(payload)}\n\n".encode())
            await asyncio.sleep(0)
        self.ended.append(reception.request)


async def outcome_of(name: str, server: Scripted, stage: Stage) -> Outcome:
    return await WORKLOADS[name].run(server, stage)


def played(
    name: str, seed: str = "a", reply: Any = obedient, run: str = ""
) -> tuple[list[Request], Outcome]:
    server = Scripted(reply)
    outcome = asyncio.run(outcome_of(name, server, Stage(seed, SHAPE, run)))
    return server.requests, outcome


def texts(requests: list[Request]) -> list[str]:
    return [request.messages[-1]["content"] for request in requests]


def first_words(requests: list[Request]) -> list[str]:
    return [text.split()[0] for text in texts(requests)]


@pytest.mark.parametrize(
    ("name", "count", "words", "tokens"),
    [
        ("single", 1, 24, 96),
        ("batch16", 16, 24, 64),
        ("sampled16", 16, 24, 48),
        ("prefix16", 16, 344 + 14, 32),
        ("choices8", 1, 344, 48),
        ("running-1", 1, 24, 96),
        ("running-12", 12, 24, 96),
        ("depth-256", 1, 246, 96),
        ("depth-3800", 1, 3790, 96),
    ],
)
def test_requests_are_as_many_and_as_long_as_the_name_says(
    name: str, count: int, words: int, tokens: int
) -> None:
    requests, outcome = played(name)
    assert [len(text.split()) for text in texts(requests)] == [words] * count
    assert {request.tokens for request in requests} == {tokens}
    assert outcome.value > 0
    choices = sum(request.choices for request in requests)
    assert len(outcome.first_tokens) == choices
    assert len(outcome.gaps) == choices * (tokens - 1)


@pytest.mark.parametrize(
    "name", ["single", "batch16", "sampled16", "schema8", "copying", "copying-short"]
)
def test_no_two_prompts_of_two_rounds_begin_alike(name: str) -> None:
    rounds = [set(first_words(played(name, seed)[0])) for seed in ("a", "b")]
    assert rounds[0].isdisjoint(rounds[1])
    assert len(rounds[0]) == {"single": 1, "copying": 1, "copying-short": 1, "schema8": 8}.get(
        name, 16
    )


@pytest.mark.parametrize(("name", "deep"), [("deep8", 16), ("mixed16", 2)])
def test_what_is_prefilled_before_is_the_same_in_all_rounds_of_a_run(name: str, deep: int) -> None:
    rounds = [texts(played(name, seed, run="r")[0])[:deep] for seed in ("a", "b")]
    assert rounds[0] == rounds[1]
    assert len(set(rounds[0])) == deep // 2, "each is prefilled, and measured"
    assert set(rounds[0]).isdisjoint(texts(played(name, run="s")[0]))


@pytest.mark.parametrize("name", ["batch16", "prefix16", "conversation", "long"])
def test_a_round_is_the_same_for_every_server(name: str) -> None:
    assert texts(played(name)[0]) == texts(played(name)[0])


def test_a_prefix_is_shared_in_a_round_and_new_in_the_next() -> None:
    prefixes = [
        {" ".join(text.split()[:344]) for text in texts(played("prefix16", seed)[0])}
        for seed in ("a", "b")
    ]
    assert [len(each) for each in prefixes] == [1, 1]
    assert prefixes[0] != prefixes[1]
    own = {tuple(text.split()[344:]) for text in texts(played("prefix16")[0])}
    assert len(own) == 16


def test_sampling_is_as_the_table_says() -> None:
    (sampled, *_), _ = played("sampled16")
    assert (sampled.temperature, sampled.top_p, sampled.choices) == (0.8, 0.95, 1)
    (choices,), _ = played("choices8")
    assert (choices.temperature, choices.top_p, choices.choices) == (1.0, 1.0, 8)
    assert all(request.temperature == 0 for request in played("batch16")[0])


@pytest.mark.parametrize(("name", "words"), [("copying", 120), ("copying-short", 48)])
def test_copying_asks_for_a_text_and_for_as_many_tokens_as_it_has_words(
    name: str, words: int
) -> None:
    (request,), _ = played(name)
    text, _, order = texts([request])[0].partition("\n\n")
    assert (len(text.split()), request.tokens) == (words, words)
    assert order


def test_a_deep_stream_runs_among_short_ones() -> None:
    requests, outcome = played("mixed16")
    first, again, *short = requests
    assert first.messages == again.messages and (first.tokens, again.tokens) == (1, 64)
    assert [len(text.split()) for text in texts(short)] == [24] * 15
    assert len(texts([again])[0].split()) == SHAPE.words_for(3800)
    assert len(outcome.first_tokens) == 16 and outcome.value > 0


def test_deep_streams_are_prefilled_before_they_are_measured() -> None:
    requests, outcome = played("deep8")
    before, measured = requests[:8], requests[8:]
    assert [request.tokens for request in before] == [1] * 8
    assert [request.tokens for request in measured] == [48] * 8
    assert texts(before) == texts(measured)
    assert {len(text.split()) for text in texts(measured)} == {3790}
    assert len(outcome.first_tokens) == 8


def test_a_chat_sends_all_that_was_said_before() -> None:
    requests, outcome = played("conversation")
    assert len(requests) == 8 * 6
    longest = [each.messages for each in requests if len(each.messages) == 11]
    assert len(longest) == 8
    for messages in longest:
        assert [message["role"] for message in messages] == ["user", "assistant"] * 5 + ["user"]
        assert all(len(m["content"].split()) == 24 for m in messages if m["role"] == "user")
        # A turn is its history and one more question.
        shorter = [each.messages for each in requests if each.messages == messages[:9]]
        assert len(shorter) == 1
    assert len(outcome.first_tokens) == 8 * 5


def test_a_long_prompt_comes_when_all_streams_run_and_ends_them() -> None:
    server = Scripted()
    outcome = asyncio.run(outcome_of("long", server, Stage("a", SHAPE)))
    *streams, late = server.requests
    assert [request.tokens for request in streams] == [1024] * 8
    assert (len(texts([late])[0].split()), late.tokens) == (3990, 16)
    assert server.ended == [late]
    # Each stream had begun, and had not come to its end.
    assert 8 * 8 <= len(outcome.gaps) + 8 < 8 * 1024
    assert 0 < outcome.value <= max(outcome.gaps)
    assert len(outcome.first_tokens) == 1


def test_a_stream_that_ends_before_the_long_prompt_comes_is_no_measurement() -> None:
    def brief(_body: Any) -> list[Any]:
        return [chunk("word"), chunk(finish="stop"), usage(10, 1)]

    with pytest.raises(BenchError, match="ended before"):
        played("long", reply=brief)


def test_answers_that_break_the_schema_do_not_count() -> None:
    answers = iter([json.dumps(ANSWER)] * 6 + ["{", json.dumps(ANSWER | {"age": "36"})])

    def reply(_body: Any) -> list[Any]:
        return [chunk(next(answers)), chunk(finish="stop"), usage(30, 20)]

    requests, outcome = played("schema8", reply=reply)
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
def test_the_check_of_answers_is_the_schema(change: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(ANSWER_SCHEMA)
    assert is_answer(json.dumps(ANSWER)) and validator.is_valid(ANSWER)
    assert not is_answer(json.dumps(ANSWER | change))
    assert not validator.is_valid(ANSWER | change)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"name": "Ada"}', json.dumps(ANSWER) + "x"])
def test_what_is_no_object_of_all_fields_is_no_answer(text: str) -> None:
    assert not is_answer(text)


def test_a_count_that_was_not_asked_for_is_a_fault() -> None:
    def short(request: dict[str, Any]) -> list[Any]:
        return obedient(request | {"max_tokens": request["max_tokens"] - 1})

    with pytest.raises(BenchError, match="95 tokens came where 96 were due"):
        played("single", reply=short)


def test_a_sweep_is_chosen_by_its_axis_and_a_workload_by_its_name() -> None:
    assert [each.name for each in chosen("single")] == ["single"]
    positions = [each.sweep.position for each in chosen("running") if each.sweep]
    assert positions == [1, 2, 4, 8, 12, 16]
    assert [each.name for each in chosen("depth-256")] == ["depth-256"]
    assert chosen("nothing") == []
