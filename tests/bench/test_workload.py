"""How requests of a workload are sent, checked and counted."""

import asyncio
import json
from typing import Any

import pytest

from friendli_endpoint.bench.load import Answer, Reception
from friendli_endpoint.bench.wire import BenchError, Request, user
from friendli_endpoint.bench.workload import Shape, Stage, at_once, checked, send
from tests.bench.loopback import chunk, obedient, usage
from tests.bench.played import SHAPE, Scripted, played


def request(tokens: int = 2, choices: int = 1) -> Request:
    return Request((user("Hello!"),), tokens, choices=choices)


@pytest.mark.parametrize(("tokens", "words"), [(10, 0), (21, 5), (22, 6), (4000, 1995)])
def test_a_prompt_is_as_long_as_its_tokens_allow(tokens: int, words: int) -> None:
    assert Shape(overhead=10, per_word=2.0).words_for(tokens) == words


def test_a_count_that_was_not_asked_for_is_a_fault() -> None:
    def short(request: dict[str, Any]) -> list[Any]:
        return obedient(request | {"max_tokens": request["max_tokens"] - 1})

    with pytest.raises(BenchError, match="95 tokens came where 96 were due"):
        played("single", reply=short)


def test_a_choice_without_text_is_a_fault() -> None:
    reception = Reception(request(tokens=1, choices=2))
    for payload in (chunk("a"), chunk(finish="stop", index=1), usage(5, 2)):
        reception.take(f"data: {json.dumps(payload)}\n\n".encode())
    with pytest.raises(BenchError, match="1 choices of 2 hold text"):
        checked([reception])


def test_all_requests_are_under_way_before_one_is_answered() -> None:
    async def scenario() -> None:
        together = asyncio.Barrier(3)

        async def ask(_reception: Reception) -> None:
            await together.wait()

        requests = [request(tokens) for tokens in (1, 2, 3)]
        receptions = await asyncio.wait_for(send(ask, requests), 20)
        assert [reception.request for reception in receptions] == requests

    asyncio.run(scenario())


def test_the_first_failure_ends_the_other_requests() -> None:
    given_up: list[Request] = []

    async def ask(reception: Reception) -> None:
        if reception.request.tokens == 2:
            raise BenchError("the second one fails")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            given_up.append(reception.request)
            raise

    async def scenario() -> None:
        with pytest.raises(BenchError, match="second"):
            await send(ask, [request(tokens) for tokens in (1, 2, 3)])
        await asyncio.sleep(0)
        assert [asked.tokens for asked in given_up] == [1, 3]

    asyncio.run(scenario())


def test_a_round_is_scored_by_its_checked_answers() -> None:
    def score(answers: list[Answer]) -> float:
        return float(sum(answer.tokens or 0 for answer in answers))

    def requests(stage: Stage) -> list[Request]:
        assert stage.seed == "a"
        return [request(3), request(2, choices=2)]

    run: Any = at_once(requests, score)  # type: ignore[arg-type]
    outcome = asyncio.run(run(Scripted(), Stage("a", SHAPE)))
    assert (outcome.value, outcome.failed) == (7.0, 0)
    assert (len(outcome.first_tokens), len(outcome.gaps)) == (3, 2 + 2)
