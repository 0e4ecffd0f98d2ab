"""What every workload asks for."""

import pytest

from friendli_endpoint.bench.workloads import chosen
from tests.bench.played import first_words, played, texts


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


@pytest.mark.parametrize("name", ["batch16", "prefix16", "conversation", "long"])
def test_a_round_is_the_same_for_every_server(name: str) -> None:
    assert texts(played(name)[0]) == texts(played(name)[0])


def test_a_prefix_is_shared_in_a_round_and_new_in_the_next() -> None:
    prefixes = [
        {" ".join(text.split()[:344]) for text in texts(played("prefix16", seed)[0])}
        for seed in ("a", "b")
    ]
    assert [len(prefix) for prefix in prefixes] == [1, 1]
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


def test_a_sweep_is_chosen_by_its_axis_and_a_workload_by_its_name() -> None:
    assert [workload.name for workload in chosen("single")] == ["single"]
    positions = [workload.sweep.position for workload in chosen("running") if workload.sweep]
    assert positions == [1, 2, 4, 8, 12, 16]
    assert [workload.name for workload in chosen("depth-256")] == ["depth-256"]
    assert chosen("nothing") == []
