"""Requests of each workload."""

import pytest

from friendli_endpoint.bench.workloads import workloads_named
from tests.bench.simulated import first_words, run_workload, texts


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
        ("busy-0", 1, 24, 96),
    ],
)
def test_a_workload_has_the_requests_that_its_name_implies(
    name: str, count: int, words: int, tokens: int
) -> None:
    requests, outcome = run_workload(name)
    assert [len(text.split()) for text in texts(requests)] == [words] * count
    assert {request.tokens for request in requests} == {tokens}
    assert outcome.value > 0
    choices = sum(request.choices for request in requests)
    assert len(outcome.first_tokens) == choices
    assert len(outcome.gaps) == choices * (tokens - 1)


@pytest.mark.parametrize(
    "name", ["single", "batch16", "sampled16", "schema8", "copying", "copying-short"]
)
def test_prompts_of_two_rounds_begin_differently(name: str) -> None:
    rounds = [set(first_words(run_workload(name, seed)[0])) for seed in ("a", "b")]
    assert rounds[0].isdisjoint(rounds[1])
    assert len(rounds[0]) == {"single": 1, "copying": 1, "copying-short": 1, "schema8": 8}.get(
        name, 16
    )


@pytest.mark.parametrize("name", ["batch16", "prefix16", "conversation", "long"])
def test_the_same_seed_gives_the_same_requests(name: str) -> None:
    assert texts(run_workload(name)[0]) == texts(run_workload(name)[0])


def test_a_prefix_is_shared_in_a_round_and_new_in_the_next() -> None:
    prefixes = [
        {" ".join(text.split()[:344]) for text in texts(run_workload("prefix16", seed)[0])}
        for seed in ("a", "b")
    ]
    assert [len(prefix) for prefix in prefixes] == [1, 1]
    assert prefixes[0] != prefixes[1]
    own = {tuple(text.split()[344:]) for text in texts(run_workload("prefix16")[0])}
    assert len(own) == 16


def test_sampling_parameters_match_the_descriptions() -> None:
    (sampled, *_), _ = run_workload("sampled16")
    assert (sampled.temperature, sampled.top_p, sampled.choices) == (0.8, 0.95, 1)
    (choices,), _ = run_workload("choices8")
    assert (choices.temperature, choices.top_p, choices.choices) == (1.0, 1.0, 8)
    assert all(request.temperature == 0 for request in run_workload("batch16")[0])


@pytest.mark.parametrize(("name", "words"), [("copying", 120), ("copying-short", 48)])
def test_copying_requests_as_many_tokens_as_the_text_has_words(name: str, words: int) -> None:
    (request,), _ = run_workload(name)
    text, _, instruction = texts([request])[0].partition("\n\n")
    assert (len(text.split()), request.tokens) == (words, words)
    assert instruction


def test_a_sweep_is_selected_by_its_axis_and_a_workload_by_its_name() -> None:
    assert [workload.name for workload in workloads_named("single")] == ["single"]
    positions = [
        workload.sweep.position for workload in workloads_named("running") if workload.sweep
    ]
    assert positions == [1, 2, 4, 8, 12, 16]
    busy = [workload.name for workload in workloads_named("busy")]
    assert busy == ["busy-0", "busy-2", "busy-4"]
    assert [workload.name for workload in workloads_named("depth-256")] == ["depth-256"]
    assert workloads_named("nothing") == []
