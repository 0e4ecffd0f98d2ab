"""Execution of prompts and choices: computed once, shared, and independent of each other."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.generation import DecodingRules, Guide, TokenFindings
from tests.engine.core.scripted_loop import (
    CHAOS,
    COUNTING,
    PROMPT,
    SIZE,
    Hook,
    Pause,
    draw,
    outcome,
    with_new_guides,
)
from tests.support.scripted import PATIENCE, Inbox, ScriptedGuide, request, run, serving


def test_choices_share_one_prefill() -> None:
    guides = [ScriptedGuide() for _ in range(4)]
    with serving(CHAOS, slots=4) as (engine, backend):
        (inbox,) = run(engine, request("r", range(20), *guides, temperature=1.0))
    assert sum(len(call.tokens) for call in backend.named("prefill")) == 20
    assert len(backend.named("copy")) == 3
    assert inbox.finishes() == ["length"] * 4
    assert len({tuple(inbox.tokens(choice)) for choice in range(4)}) == 4


def test_a_request_with_more_choices_than_slots_is_served() -> None:
    guides = [ScriptedGuide() for _ in range(7)]
    asked = request("r", range(20), *guides, temperature=1.0)
    with serving(CHAOS, slots=2) as (engine, backend):
        (few,) = run(engine, asked)
    assert sum(len(call.tokens) for call in backend.named("prefill")) == 20
    with serving(CHAOS, slots=7) as (engine, _):
        (many,) = run(engine, with_new_guides(asked))
    assert outcome(few) == outcome(many)


def test_guides_are_made_when_a_choice_gets_its_slot_and_not_before() -> None:
    unfinished: set[int] = set()
    max_unfinished = 0

    class CountedGuide(ScriptedGuide):
        def accept(self, token_id: int, is_last: bool) -> TokenFindings:
            findings = super().accept(token_id, is_last)
            if findings.finish is not None:
                unfinished.discard(id(self))
            return findings

    made: list[CountedGuide] = []

    def make_guide(_rules: DecodingRules) -> Guide:
        nonlocal max_unfinished
        made.append(CountedGuide())
        unfinished.add(id(made[-1]))
        max_unfinished = max(max_unfinished, len(unfinished))
        return made[-1]

    asked = [request(f"{number}", PROMPT, *[ScriptedGuide()] * 20) for number in range(3)]
    with serving(CHAOS, slots=2, make_guide=make_guide) as (engine, _):
        run(engine, *asked)
    assert len(made) == 60 and max_unfinished == 2


def test_a_slot_that_contains_the_prompt_is_used_without_a_copy() -> None:
    short = [ScriptedGuide(ends=range(SIZE)) for _ in range(4)]
    with serving(CHAOS, slots=2) as (engine, backend):
        (inbox,) = run(engine, request("r", PROMPT, ScriptedGuide(), *short, max_tokens=30))
    assert inbox.finishes() == ["length", *["stop"] * 4]
    assert len(backend.named("copy")) == 1


def test_greedy_choices_are_equal() -> None:
    with serving(CHAOS) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, *(ScriptedGuide() for _ in range(3))))
    assert inbox.tokens(0) == inbox.tokens(1) == inbox.tokens(2)


def test_a_prompt_of_one_token_is_served() -> None:
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", [40], max_tokens=2))
    assert inbox.tokens() == [41, 42]


def test_choices_of_a_request_finish_independently() -> None:
    guides = [ScriptedGuide(ends=[82]), ScriptedGuide(), ScriptedGuide(ends=[81])]
    with serving(COUNTING, slots=2) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, *guides, max_tokens=4))
    assert [len(inbox.of(choice)) for choice in range(3)] == [2, 4, 1]
    assert inbox.finishes() == ["stop", "length", "stop"]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=16, unique=True),
    st.integers(1, 5),
    st.sampled_from([(3, 3), (4, 9), (8, 32), (64, 128)]),
)
def test_the_same_request_gives_the_same_tokens_alone_and_among_others(
    seeds: list[int], slots: int, step_tokens: tuple[int, int]
) -> None:
    requests = [draw(str(seed), seed) for seed in seeds]
    busy, idle = step_tokens
    with serving(CHAOS, slots=slots, step_tokens=busy, max_chunk_tokens=idle) as (engine, _):
        together = run(engine, *requests)
    for asked, beside in zip(requests[:3], together, strict=False):
        with serving(CHAOS, slots=1) as (engine, _):
            (alone,) = run(engine, with_new_guides(asked))
        assert outcome(alone) == outcome(beside)


def test_sixteen_requests_at_once_give_the_same_tokens_as_alone() -> None:
    requests = [draw(str(seed), seed) for seed in range(16)]
    with serving(CHAOS, slots=16) as (engine, backend):
        together = run(engine, *requests)
        assert max(len(call.sequences) for call in backend.named("decode")) > 1
        alone = [run(engine, with_new_guides(asked))[0] for asked in requests]
    assert [outcome(inbox) for inbox in together] == [outcome(inbox) for inbox in alone]


def test_a_running_choice_decodes_between_the_chunks_of_a_long_prompt() -> None:
    with serving(COUNTING, step_tokens=4, max_chunk_tokens=64) as (engine, backend):
        short, long = Inbox(1), Inbox(1)
        pause = Pause(backend, "decode")
        engine.submit(request("short", PROMPT, max_tokens=30), short)
        with pause:
            engine.submit(request("long", range(60), max_tokens=1), long)
        short.wait()
        long.wait()
    names = [call.name for call in backend.calls if call.name in ("prefill", "decode")]
    assert names[:4] == ["prefill", "decode", "prefill", "decode"]
    assert "prefill prefill" not in " ".join(names)
    sizes = [len(call.tokens) for call in backend.named("prefill")[1:]]
    assert max(sizes) == 3 and sum(sizes) == 60, (
        "the fourth token of a step is the running choice's"
    )


def test_a_common_prefix_is_not_computed_again() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        (alone,) = run(engine, request("alone", [*range(40), 90, 91]))
    with serving(CHAOS, slots=2) as (engine, backend):
        run(engine, request("first", range(40)))
        (second,) = run(engine, request("second", [*range(40), 90, 91]))
    assert second.started is not None and second.started.cached_tokens == 40
    assert alone.started is not None and alone.started.cached_tokens == 0
    assert outcome(second) == outcome(alone)
    assert sum(len(call.tokens) for call in backend.named("prefill")) == 42


def test_output_is_a_cached_prefix_after_an_idle_time() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        prefilled = threading.Event()
        (first,) = run(engine, request("first", range(40), max_tokens=20))
        Hook(backend, "prefill", 3).then = prefilled.set
        assert prefilled.wait(PATIENCE)
        output = [token for token in first.tokens() if token is not None]
        (second,) = run(engine, request("second", [*range(40), *output, 90, 91]))
        assert second.started is not None and second.started.cached_tokens == 59
    with serving(CHAOS, slots=2) as (engine, backend):
        (alone,) = run(engine, request("second", [*range(40), *output, 90, 91]))
    assert outcome(second) == outcome(alone)


@pytest.mark.parametrize(("prompt", "cached"), [(40, 50), (60, 60), (20, 39), (1, 0)])
def test_output_at_batch_invariant_positions_is_a_cached_prefix_at_once(
    prompt: int, cached: int
) -> None:
    asked = [*range(prompt)]
    with serving(CHAOS, slots=2, batch_invariant_positions=50) as (engine, _):
        (first,) = run(engine, request("first", asked, max_tokens=20))
        output = [token for token in first.tokens() if token is not None]
        (second,) = run(engine, request("second", [*asked, *output, 90, 91]))
        assert second.started is not None and second.started.cached_tokens == cached
    with serving(CHAOS, slots=2) as (engine, _):
        (alone,) = run(engine, request("second", [*asked, *output, 90, 91]))
    assert outcome(second) == outcome(alone)
