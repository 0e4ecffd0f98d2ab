"""Sending requests of a workload, checking answers and scoring a round."""

import asyncio
import json
from typing import Any

import pytest

from friendli_endpoint.bench.load import Answer, RecordedResponse
from friendli_endpoint.bench.wire import BenchError, Request, user
from friendli_endpoint.bench.workload import (
    PromptShape,
    RoundInputs,
    check_answers,
    concurrent,
    send,
)
from tests.bench.loopback import chunk, exact_reply, usage
from tests.bench.simulated import SHAPE, ScriptedServer, run_workload


def request(tokens: int = 2, choices: int = 1) -> Request:
    return Request((user("Hello!"),), tokens, choices=choices)


@pytest.mark.parametrize(("tokens", "words"), [(10, 0), (21, 5), (22, 6), (4000, 1995)])
def test_the_number_of_words_follows_from_tokens_and_prompt_shape(tokens: int, words: int) -> None:
    assert PromptShape(overhead=10, per_word=2.0).words_for(tokens) == words


def test_an_unexpected_number_of_tokens_is_an_error() -> None:
    def short(request: dict[str, Any]) -> list[Any]:
        return exact_reply(request | {"max_tokens": request["max_tokens"] - 1})

    with pytest.raises(BenchError, match="expected 96 tokens, got 95"):
        run_workload("single", reply=short)


def test_a_choice_without_text_is_an_error() -> None:
    response = RecordedResponse(request(tokens=1, choices=2))
    for payload in (chunk("a"), chunk(finish="stop", index=1), usage(5, 2)):
        response.add(f"data: {json.dumps(payload)}\n\n".encode())
    with pytest.raises(BenchError, match="expected text in 2 choices, got it in 1"):
        check_answers([response])


def test_all_requests_are_sent_before_the_first_answer() -> None:
    async def scenario() -> None:
        together = asyncio.Barrier(3)

        async def send_request(_response: RecordedResponse) -> None:
            await together.wait()

        requests = [request(tokens) for tokens in (1, 2, 3)]
        responses = await asyncio.wait_for(send(send_request, requests), 20)
        assert [response.request for response in responses] == requests

    asyncio.run(scenario())


def test_the_first_failure_cancels_the_other_requests() -> None:
    cancelled: list[Request] = []

    async def send_request(response: RecordedResponse) -> None:
        if response.request.tokens == 2:
            raise BenchError("the second request fails")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(response.request)
            raise

    async def scenario() -> None:
        with pytest.raises(BenchError, match="second"):
            await send(send_request, [request(tokens) for tokens in (1, 2, 3)])
        await asyncio.sleep(0)
        assert [request.tokens for request in cancelled] == [1, 3]

    asyncio.run(scenario())


def test_a_round_is_scored_by_its_checked_answers() -> None:
    def score(answers: list[Answer]) -> float:
        return float(sum(answer.tokens or 0 for answer in answers))

    def requests(inputs: RoundInputs) -> list[Request]:
        assert inputs.seed == "a"
        return [request(3), request(2, choices=2)]

    run: Any = concurrent(requests, score)  # type: ignore[arg-type]
    outcome = asyncio.run(run(ScriptedServer(), RoundInputs("a", SHAPE)))
    assert (outcome.value, outcome.failed) == (7.0, 0)
    assert (len(outcome.first_tokens), len(outcome.gaps)) == (3, 2 + 2)
