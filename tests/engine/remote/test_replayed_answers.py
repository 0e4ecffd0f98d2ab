"""Replay: whenever engines die, clients read what they would have read without."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.generation import Generated
from tests.chat.random_requests import (
    OPENED,
    PLAIN,
    RULES,
    SCHEMA,
    SOURCES,
    TOOLS,
    VOCABULARY,
    babble,
    bodies,
    budgeted,
)
from tests.engine.remote.scripted_engine import PREFILL_STEPS, Answer
from tests.engine.remote.scripted_fleet import (
    FIELDS,
    ID,
    Client,
    Front,
    alone,
    client_of,
    recorded,
    text_client,
)
from tests.support.scripted import serving

FORMAT = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}

KINDS: dict[str, tuple[str, dict[str, Any], bytes]] = {
    "text": (PLAIN, {"temperature": 1.0}, b'"finish_reason":"length"'),
    "stop string": (PLAIN, {"stop": ["a", "<", " t", "O"]}, b'"finish_reason":"stop"'),
    "log probabilities": (PLAIN, {"logprobs": True, "top_logprobs": 2}, b'"top_logprobs":[{'),
    "tool calls": (
        PLAIN,
        {"tools": TOOLS, "tool_choice": "required", "max_tokens": 90},
        b'"finish_reason":"tool_calls"',
    ),
    "reasoning": (OPENED, {"max_tokens": 24, "reasoning_budget": 8}, b'"reasoning_content":"'),
    "JSON": (PLAIN, {"response_format": FORMAT, "max_tokens": 40}, b'"finish_reason":"stop"'),
}
"""By name: a template, fields, and a text that each answer has."""


def fields_of(kind: str, n: int, stream: bool) -> tuple[str, dict[str, Any]]:
    source, fields, _ = KINDS[kind]
    usage = {"stream_options": {"include_usage": True}} if stream else {}
    return source, {**FIELDS, **fields, "n": n, "stream": stream, **usage}


def check_form(client: Client) -> None:
    """Checks that a stream has each part that comes once exactly once."""
    if client.request.stream:
        assert client.data.count(b'"role":"assistant"') == len(client.request.choices)
        assert client.data.count(b'"usage":{') == 1
        assert client.data.count(b"data: [DONE]\n\n") == 1
        assert client.data.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_client_reads_the_same_bytes_whenever_its_engine_dies(
    loop: EngineLoop, kind: str, n: int, stream: bool
) -> None:
    source, body = fields_of(kind, n, stream)
    answer = recorded(loop, client_of(source, body).request)
    expected, num_steps = alone(client_of(source, body), answer)
    assert KINDS[kind][2] in expected.data
    ends = {(steps[-1].findings.finish, steps[-1].findings.is_end) for steps in answer}
    assert kind != "stop string" or ("stop", False) in ends
    check_form(expected)
    for deterministic in (True,) if stream else (True, False):
        for first in range(num_steps):
            # Again while it is queued, while it is prefilling, in the overlap, just after it.
            for second in {0, 1, first // 2 + 2, first + 1}:
                client = client_of(source, body)
                front = Front({ID: answer}, deterministic=deterministic)
                replay = front.submit(client)
                for steps in (first, second):
                    for _ in range(steps):
                        front.step()
                    front.place()
                    front.kill()
                front.finish()
                assert client.data == expected.data
                assert replay.is_over
                assert [request.resumed for request in front.submitted][:2] == [False, True]


@pytest.mark.property
@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(SOURCES), bodies(), st.none() | st.integers(1, 12)),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 3),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), max_size=8),
    st.integers(0, 10**6),
)
def test_clients_read_the_same_text_whatever_dies_and_however_steps_are_batched(
    asked: list[tuple[str, dict[str, Any], int | None]],
    engines: int,
    places: int,
    deaths: list[tuple[int, int]],
    seed: int,
) -> None:
    clients, others = [], []
    answers: dict[str, Answer] = {}
    with serving(babble, slots=3, vocabulary=VOCABULARY, make_guide=RULES.guide) as (loop, _):
        for number, (source, fields, budget) in enumerate(asked):
            body = {**budgeted(source, fields, budget), "stream": number % 2 == 0}
            if body["stream"]:
                body["stream_options"] = {"include_usage": True}
            clients.append(client_of(source, body, str(number)))
            others.append(client_of(source, body, str(number)))
            answers[clients[-1].request.request_id] = recorded(loop, clients[-1].request)
    random = Random(seed)
    front = Front(answers, engines, places, batch=lambda: random.choice([1, 1, 1, 2, 5]))
    for client in clients:
        front.submit(client)
    for steps, index in deaths:
        for _ in range(steps):
            front.step()
        front.kill(index)
    front.finish()
    for client, reference in zip(clients, others, strict=True):
        expected, _ = alone(reference, answers[client.request.request_id])
        check_form(client)
        if client.request.stream:
            for choice in range(len(client.request.choices)):
                assert client.of(choice) == expected.of(choice)
        else:
            assert client.data == expected.data


def changed(answer: Answer, index: int) -> Answer:
    """Returns an answer with another token at an index of its first choice."""
    steps = list(answer[0])
    token = steps[index].token_id
    steps[index] = replace(steps[index], token_id=5 if token is None else token + 1)
    return [steps, *answer[1:]]


def after_a_change(
    client: Client,
    answer: Answer,
    changed_answer: Answer,
    num_steps: int,
    deterministic: bool = True,
) -> Client:
    """Lets an engine die after some steps; the next one gives another answer."""
    front = Front({ID: answer}, deterministic=deterministic)
    replay = front.submit(client)
    for _ in range(num_steps):
        front.step()
    front.answers[ID] = changed_answer
    front.place()
    front.kill()
    front.finish()
    assert replay.is_over
    return client


def test_a_token_that_differs_from_one_that_was_told_is_an_error_event(loop: EngineLoop) -> None:
    _, answer = text_client(loop)
    for num_told in range(1, len(answer[0])):
        for index in range(num_told):
            client, _ = text_client(loop)
            changed_answer = changed(answer, index)
            after_a_change(client, answer, changed_answer, PREFILL_STEPS + num_told)
            assert client.error is not None and not client.error.retryable
            assert "another answer" in client.error.message
            told = [event for event in client.events if isinstance(event, Generated)]
            assert [step for event in told for step in event.steps] == answer[0][:num_told]


def test_a_token_that_differs_after_those_that_were_told_is_not_an_error(loop: EngineLoop) -> None:
    _, answer = text_client(loop)
    for num_told in range(len(answer[0])):
        client, _ = text_client(loop)
        changed_answer = [[*answer[0][:num_told], *changed(answer, num_told)[0][num_told:]]]
        after_a_change(client, answer, changed_answer, PREFILL_STEPS + num_told)
        assert client.error is None
        assert client.data == alone(text_client(loop)[0], changed_answer)[0].data


@pytest.mark.parametrize("shorter", [True, False])
def test_an_answer_that_ends_elsewhere_than_the_one_that_was_told_is_an_error(
    loop: EngineLoop, shorter: bool
) -> None:
    """Of two choices, the first has been told completely when the engine dies."""
    client, answer = text_client(loop, n=2)
    first = answer[0][:4]
    ended = [*first[:3], replace(first[3], findings=replace(first[3].findings, finish="length"))]
    early = [*first[:2], replace(first[2], findings=replace(first[2].findings, finish="length"))]
    told, given = [first, early] if shorter else [ended, answer[0]]
    after_a_change(client, [told, answer[1]], [given, answer[1]], PREFILL_STEPS + 4)
    assert client.error is not None and "another answer" in client.error.message


def test_a_stream_that_was_told_nothing_takes_the_new_answer(loop: EngineLoop) -> None:
    _, answer = text_client(loop)
    for num_steps in range(PREFILL_STEPS + 1):
        client, _ = text_client(loop)
        after_a_change(client, answer, changed(answer, 0), num_steps, deterministic=False)
        assert client.data == alone(text_client(loop)[0], changed(answer, 0))[0].data


def test_a_whole_answer_of_a_nondeterministic_engine_takes_the_new_answer(
    loop: EngineLoop,
) -> None:
    _, answer = text_client(loop, n=2, stream=False)
    changed_answer = changed(answer, 0)
    expected, num_steps = alone(text_client(loop, n=2, stream=False)[0], changed_answer)
    for steps in range(num_steps):
        client, _ = text_client(loop, n=2, stream=False)
        after_a_change(client, answer, changed_answer, steps, deterministic=False)
        assert client.error is None and client.data == expected.data


def test_a_whole_answer_of_a_deterministic_engine_that_differs_is_an_error(
    loop: EngineLoop,
) -> None:
    client, answer = text_client(loop, stream=False)
    after_a_change(client, answer, changed(answer, 0), PREFILL_STEPS + 2)
    assert client.error is not None
