"""The loop on a scripted backend: what is delivered, to whom, and what a fault costs."""

import logging
import threading
from collections.abc import Callable
from itertools import count, pairwise, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from friendli_endpoint.engine.core.execution import Plan
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.engine.core.sampling import logprobs
from friendli_endpoint.generation import (
    Failure,
    GenerationRequest,
    Message,
    Refusal,
    Started,
    StepReport,
)
from tests.support.scripted import (
    PATIENCE,
    Call,
    Inbox,
    ScriptedBackend,
    ScriptedGuide,
    ScriptedVocabulary,
    bitmask,
    chaotic,
    following,
    repeating,
    request,
    run,
    serving,
)

VOCABULARY = ScriptedVocabulary()
SIZE = VOCABULARY.size
COUNTING = following(SIZE)
CHAOS = chaotic(SIZE)
PROMPT = (50, 60, 70, 80)


class Hook:
    """Does something once, when the backend is called for the n-th time in a certain way."""

    def __init__(self, backend: ScriptedBackend, name: str, number: int = 1) -> None:
        self._name = name
        self._left = number
        self.then: Callable[[], None] = lambda: None
        backend.before = self

    def __call__(self, call: Call) -> None:
        if call.name == self._name:
            self._left -= 1
            if self._left == 0:
                self.then()


class Pause:
    """Holds the engine's thread at a call until it is told to go on."""

    def __init__(self, backend: ScriptedBackend, name: str, number: int = 1) -> None:
        self.reached = threading.Event()
        self._go_on = threading.Event()
        Hook(backend, name, number).then = self._hold

    def _hold(self) -> None:
        self.reached.set()
        assert self._go_on.wait(PATIENCE)

    def __enter__(self) -> None:
        assert self.reached.wait(PATIENCE), "the engine did not come to this call"

    def __exit__(self, *_exception: object) -> None:
        self._go_on.set()


def draw(name: str, seed: int, **options: Any) -> GenerationRequest:
    """A request whose tokens depend on seed and history, with many parameters on."""
    sampling = {"top_p": 0.95, "repetition_penalty": 1.1, "presence_penalty": 0.5}
    prompt = [10 + (seed * 7 + n) % 200 for n in range(3 + seed % 40)]
    return request(
        name,
        prompt,
        *(ScriptedGuide() for _ in range(1 + seed % 3)),
        seed=seed,
        temperature=1.0,
        max_tokens=3 + seed % 7,
        top_logprobs=2,
        **{**sampling, **options},
    )


def outcome(inbox: Inbox) -> list[object]:
    return [inbox.of(choice) for choice in range(inbox.choices)]


def test_a_choice_counts_on_from_its_prompt() -> None:
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, max_tokens=3))
    assert inbox.tokens() == [81, 82, 83]
    assert [step.piece for step in inbox.steps] == [VOCABULARY.piece(t) for t in (81, 82, 83)]
    assert [step.finish for step in inbox.steps] == [None, None, "length"]
    assert all(step.logprob is None and step.top_logprobs == () for step in inbox.steps)


def test_the_engine_shows_its_vocabulary() -> None:
    with serving(COUNTING, vocabulary=VOCABULARY) as (engine, _):
        assert engine.vocabulary is VOCABULARY


def test_choices_share_one_prefill() -> None:
    guides = [ScriptedGuide() for _ in range(4)]
    with serving(CHAOS, slots=4) as (engine, backend):
        (inbox,) = run(engine, request("r", range(20), *guides, temperature=1.0))
    assert sum(len(call.tokens) for call in backend.named("prefill")) == 20
    assert len(backend.named("copy")) == 3
    assert inbox.finishes() == ["length"] * 4
    assert len({tuple(inbox.tokens(choice)) for choice in range(4)}) == 4


def test_more_choices_than_slots() -> None:
    guides = [ScriptedGuide() for _ in range(7)]
    asked = request("r", range(20), *guides, temperature=1.0)
    with serving(CHAOS, slots=2) as (engine, backend):
        (few,) = run(engine, asked)
    assert sum(len(call.tokens) for call in backend.named("prefill")) == 20
    with serving(CHAOS, slots=7) as (engine, _):
        (many,) = run(engine, asked)
    assert outcome(few) == outcome(many)


def test_a_slot_that_holds_the_prompt_is_used_as_it_is() -> None:
    short = [ScriptedGuide(ends=range(SIZE)) for _ in range(4)]
    with serving(CHAOS, slots=2) as (engine, backend):
        (inbox,) = run(engine, request("r", PROMPT, ScriptedGuide(), *short, max_tokens=30))
    assert inbox.finishes() == ["length", *["stop"] * 4]
    assert len(backend.named("copy")) == 1


def test_greedy_choices_are_equal() -> None:
    with serving(CHAOS) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, *(ScriptedGuide() for _ in range(3))))
    assert inbox.tokens(0) == inbox.tokens(1) == inbox.tokens(2)


def test_a_prompt_of_one_token() -> None:
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", [40], max_tokens=2))
    assert inbox.tokens() == [41, 42]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=16, unique=True),
    st.integers(1, 5),
    st.sampled_from([(3, 3), (4, 9), (8, 32), (64, 128)]),
)
def test_the_same_request_gives_the_same_tokens_alone_and_among_others(
    seeds: list[int], slots: int, pieces: tuple[int, int]
) -> None:
    requests = [draw(str(seed), seed) for seed in seeds]
    with serving(CHAOS, slots=slots, piece=pieces[0], full_piece=pieces[1]) as (engine, _):
        together = run(engine, *requests)
    for asked, beside in zip(requests[:3], together, strict=False):
        with serving(CHAOS, slots=1) as (engine, _):
            (alone,) = run(engine, asked)
        assert outcome(alone) == outcome(beside)


def test_sixteen_requests_at_once_are_what_they_are_alone() -> None:
    requests = [draw(str(seed), seed) for seed in range(16)]
    with serving(CHAOS, slots=16) as (engine, backend):
        together = run(engine, *requests)
        assert max(len(call.sequences) for call in backend.named("decode")) > 1
        alone = [run(engine, asked)[0] for asked in requests]
    assert [outcome(each) for each in together] == [outcome(each) for each in alone]


def test_an_end_token_ends_with_stop_and_is_delivered() -> None:
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, ScriptedGuide(ends=[82]), max_tokens=50))
    assert inbox.tokens() == [81, 82]
    assert inbox.finishes() == ["stop"]


def test_an_end_at_the_last_token_is_a_stop() -> None:
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, ScriptedGuide(ends=[82]), max_tokens=2))
    assert inbox.finishes() == ["stop"]


@pytest.mark.parametrize("prompt", [5, 126, 127])
def test_the_end_of_the_context_is_the_end(prompt: int) -> None:
    vocabulary = ScriptedVocabulary(context=128)
    with serving(CHAOS, vocabulary=vocabulary) as (engine, _):
        (inbox,) = run(engine, request("r", [9] * prompt, max_tokens=1000))
    assert len(inbox.steps) == 128 - prompt
    assert inbox.finishes() == ["length"]


def test_choices_end_on_their_own() -> None:
    guides = [ScriptedGuide(ends=[82]), ScriptedGuide(), ScriptedGuide(ends=[81])]
    with serving(COUNTING, slots=2) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, *guides, max_tokens=4))
    assert [len(inbox.of(choice)) for choice in range(3)] == [2, 4, 1]
    assert inbox.finishes() == ["stop", "length", "stop"]


def test_forced_tokens_come_whatever_the_logits_say() -> None:
    guide = ScriptedGuide(forced={0: [9], 2: [100, 101], 3: [101]})
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, guide, max_tokens=5, top_logprobs=1))
    assert inbox.tokens() == [9, 10, 100, 101, 102]
    assert guide.accepted == [9, 10, 100, 101, 102]
    first = inbox.steps[0]
    assert first.logprob is not None and first.logprob.token_id == 9
    assert first.logprob.logprob < first.top_logprobs[0].logprob
    assert first.top_logprobs[0].token_id == 81


RUN = [30, 31, 32, 33, 34]


@pytest.mark.parametrize("top", [None, 2])
def test_several_forced_tokens_are_one_piece_of_work(top: int | None) -> None:
    guide = ScriptedGuide(forced={1: RUN})
    with serving(CHAOS) as (engine, backend):
        asked = request("r", PROMPT, guide, max_tokens=8, top_logprobs=top)
        (inbox,) = run(engine, asked)
    first, *run_and_more = inbox.tokens()
    assert run_and_more[:5] == RUN
    (extended,) = backend.named("extend")
    assert extended.tokens == (first, *RUN[:-1])
    after, last = backend.named("decode")
    assert after.tokens == (RUN[-1],) and len(last.tokens) == 1
    held = list(PROMPT)
    for step in inbox.steps if top is not None else ():
        assert step.token_id is not None
        expected = logprobs(CHAOS(tuple(held)), step.token_id, top)
        assert (step.logprob, step.top_logprobs) == expected
        held.append(step.token_id)


@pytest.mark.parametrize(
    ("guide", "limits", "expected", "finish"),
    [
        (ScriptedGuide(ends=[32], forced={1: RUN}), {"max_tokens": 9}, [81, 30, 31, 32], "stop"),
        (ScriptedGuide(forced={1: RUN}), {"max_tokens": 4}, [81, 30, 31, 32], "length"),
        (ScriptedGuide(forced={1: RUN}), {"max_tokens": 6}, [81, *RUN], "length"),
        (ScriptedGuide(forced={0: RUN, 1: RUN[1:]}), {"max_tokens": 6}, [*RUN, 35], "length"),
    ],
)
def test_forced_tokens_end_where_others_do(
    guide: ScriptedGuide, limits: dict[str, int], expected: list[int], finish: str
) -> None:
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, guide, **limits))
    assert inbox.tokens() == expected == guide.accepted
    assert inbox.finishes() == [finish]


@pytest.mark.parametrize("room", range(1, 9))
def test_forced_tokens_never_pass_the_end_of_the_context(room: int) -> None:
    vocabulary = ScriptedVocabulary(context=128)
    guide = ScriptedGuide(forced={1: RUN})
    with serving(COUNTING, vocabulary=vocabulary) as (engine, _):
        (inbox,) = run(engine, request("r", [80] * (128 - room), guide, max_tokens=1000))
    assert inbox.tokens() == [81, *RUN, 35, 36][:room]
    assert inbox.finishes() == ["length"]


def test_a_fault_among_forced_tokens_fails_its_request_alone() -> None:
    faulty = ScriptedGuide(forced={1: RUN}, fails_at=3)
    with serving(COUNTING) as (engine, _):
        failed, other = run(
            engine,
            request("bad", PROMPT, faulty, max_tokens=9),
            request("good", PROMPT, ScriptedGuide(forced={1: RUN}), max_tokens=9),
        )
    assert failed.failure is not None and "the guide cannot go on" in failed.failure.message
    assert other.tokens() == [81, *RUN, 35, 36, 37]


def test_many_forced_tokens_stop_nobody_for_long() -> None:
    long = list(range(200, 216))
    guides = [ScriptedGuide(forced={1: long, 17: long, 33: long}) for _ in range(5)]
    with serving(COUNTING, slots=6, piece=16) as (engine, backend):
        forced = [request(f"f{n}", PROMPT, guide, max_tokens=60) for n, guide in enumerate(guides)]
        plain, *others = run(engine, request("plain", PROMPT, max_tokens=120), *forced)
    assert plain.tokens() == [81 + n for n in range(120)]
    assert [other.tokens()[1:49] for other in others] == [long * 3] * 5
    calls = [call for call in backend.calls if call.name in ("extend", "decode")]
    for one, after in pairwise(calls):
        assert "decode" in (one.name, after.name), "a turn takes one such run"


def test_a_mask_holds_and_never_lasts() -> None:
    guide = ScriptedGuide(masks={1: bitmask([7, 8], SIZE)})
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, guide, max_tokens=3))
    assert inbox.tokens() == [81, 7, 8]


def test_nothing_allowed_ends_without_a_token() -> None:
    guide = ScriptedGuide(masks={1: bitmask([], SIZE)})
    with serving(COUNTING) as (engine, _):
        (inbox,) = run(engine, request("r", PROMPT, guide, max_tokens=3, top_logprobs=3))
    assert inbox.tokens() == [81, None]
    assert inbox.steps[-1].finish == "stop"
    assert inbox.steps[-1].piece == b"" and inbox.steps[-1].logprob is None


@pytest.mark.parametrize("top", [0, 1, 20])
def test_logprobs_are_those_of_the_raw_logits(top: int) -> None:
    guide = ScriptedGuide(masks={1: bitmask([7], SIZE)})
    biased = request(
        "r", PROMPT, guide, max_tokens=3, top_logprobs=top, logit_bias={5: 100.0, 7: 100.0}
    )
    with serving(CHAOS) as (engine, _):
        (inbox,) = run(engine, biased)
    held = list(PROMPT)
    for step in inbox.steps:
        assert step.token_id is not None
        expected = logprobs(CHAOS(tuple(held)), step.token_id, top)
        assert (step.logprob, step.top_logprobs) == expected
        held.append(step.token_id)


def test_a_long_prompt_does_not_stop_a_running_choice() -> None:
    with serving(COUNTING, piece=4, full_piece=64) as (engine, backend):
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
    assert max(sizes) == 4 and sum(sizes) == 60


def _cancelled(engine: EngineLoop, backend: ScriptedBackend, call: str, number: int) -> Inbox:
    """Runs a request that is cancelled in a call of the backend, then another in its slots."""
    hook = Hook(backend, call, number)
    hook.then = lambda: engine.cancel("gone")
    gone = Inbox(2)
    engine.submit(request("gone", range(40), ScriptedGuide(), ScriptedGuide(), max_tokens=50), gone)
    (after,) = run(engine, request("after", PROMPT, *(ScriptedGuide() for _ in range(2))))
    assert after.finishes() == ["length"] * 2
    return gone


def test_a_cancel_in_the_prefill_stops_it_within_a_step() -> None:
    with serving(CHAOS, slots=2, piece=8, full_piece=16) as (engine, backend):
        gone = _cancelled(engine, backend, "prefill", 1)
    assert gone.steps == [] and gone.failure is None
    mine = [call for call in backend.named("prefill") if call.tokens[0] < 40]
    assert len(mine) == 1


@pytest.mark.parametrize("number", [1, 2, 9])
def test_a_cancel_while_decoding_delivers_no_more_than_the_step(number: int) -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        gone = _cancelled(engine, backend, "decode", number)
    assert gone.failure is None
    assert max(len(gone.of(choice)) for choice in range(2)) <= number + 1


def test_a_cancel_in_the_queue_takes_no_slot() -> None:
    with serving(CHAOS, slots=1) as (engine, backend):
        first, gone, last = Inbox(1), Inbox(1), Inbox(1)
        pause = Pause(backend, "decode", 2)
        engine.submit(request("first", PROMPT), first)
        with pause:
            engine.submit(request("gone", [200, 201], max_tokens=9), gone)
            engine.submit(request("last", [30, 31]), last)
            engine.cancel("gone")
        first.wait()
        last.wait()
    assert gone.steps == [] and gone.failure is None
    assert all(call.tokens[0] != 200 for call in backend.named("prefill"))


def test_a_cancel_of_what_is_not_there_does_nothing() -> None:
    with serving(COUNTING) as (engine, _):
        engine.cancel("nobody")
        (inbox,) = run(engine, request("r", PROMPT))
        engine.cancel("r")
        (again,) = run(engine, request("r", PROMPT))
    assert inbox.tokens() == again.tokens()
    assert inbox.late == again.late == []
    engine.cancel("r")


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Faults are logged with their stack; tests that make them need not show it."""
    caplog.set_level(logging.CRITICAL, "friendli_endpoint.engine")


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("fails_at", [0, 1, 3])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_guide_that_fails_costs_its_own_request_only(fails_at: int, position: int) -> None:
    guides = [ScriptedGuide() for _ in range(3)]
    guides[position] = ScriptedGuide(fails_at=fails_at)
    bad = request("bad", range(10), *guides, max_tokens=6)
    good = [draw(str(seed), seed) for seed in (7, 11, 13)]
    with serving(CHAOS, slots=6) as (engine, _):
        before, failed, *after = run(engine, good[0], bad, *good[1:])
        (again,) = run(engine, good[0])
    assert failed.failure == Failure("the request failed in the engine: the guide cannot go on")
    assert failed.late == []
    with serving(CHAOS) as (engine, _):
        alone = run(engine, *good)
    assert [outcome(each) for each in (before, *after)] == [outcome(each) for each in alone]
    assert outcome(again) == outcome(alone[0])


def _raise() -> None:
    raise RuntimeError("the library is out of order")


BROKEN = Failure("the engine failed: the library is out of order")


def two_choices(name: str, first: int = 0) -> GenerationRequest:
    """A request of two choices, with a prompt that takes two pieces."""
    return request(name, range(first, first + 50), ScriptedGuide(), ScriptedGuide(), max_tokens=9)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("name", "number"), [("copy", 1), ("decode", 1), ("decode", 3)])
def test_a_backend_that_fails_costs_what_runs(name: str, number: int) -> None:
    with serving(CHAOS, slots=2, full_piece=32) as (engine, backend):
        (first,) = run(engine, two_choices("first"))
        Hook(backend, name, number).then = _raise
        (failing,) = run(engine, two_choices("second", 60))
        assert failing.failure == BROKEN
        (after,) = run(engine, two_choices("third"))
    assert outcome(after) == outcome(first)
    assert failing.late == []
    assert backend.opens == 2


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("number", [1, 2])
def test_a_prompt_that_the_backend_failed_at_is_tried_again(number: int) -> None:
    with serving(CHAOS, slots=2, full_piece=32) as (engine, _):
        (first,) = run(engine, two_choices("first"))
    with serving(CHAOS, slots=2, full_piece=32) as (engine, backend):
        Hook(backend, "prefill", number).then = _raise
        (tried,) = run(engine, two_choices("second"))
        assert outcome(tried) == outcome(first) and tried.late == []
        assert backend.opens == 2


@pytest.mark.usefixtures("quiet")
def test_a_prompt_that_the_backend_failed_at_twice_is_not_tried_again() -> None:
    with serving(CHAOS, slots=1) as (engine, backend):

        def poisoned(call: Call) -> None:
            if call.name == "prefill" and 66 in call.tokens:
                _raise()

        backend.before = poisoned
        poison, healthy = run(engine, request("poison", [66] * 4), request("healthy", PROMPT))
        assert poison.failure == BROKEN
        assert healthy.finishes() == ["length"]
    assert backend.opens == 3


@pytest.mark.usefixtures("quiet")
def test_what_waits_outlives_a_backend_that_fails() -> None:
    with serving(CHAOS, slots=1) as (engine, backend):
        pause = Pause(backend, "prefill")
        inboxes = [Inbox(1) for _ in range(3)]
        engine.submit(request("0", PROMPT), inboxes[0])
        with pause:
            for number in (1, 2):
                engine.submit(request(str(number), PROMPT), inboxes[number])
            Hook(backend, "decode").then = _raise
        assert [inbox.wait().failure for inbox in inboxes] == [BROKEN, None, None]


@pytest.mark.usefixtures("quiet")
def test_a_backend_that_cannot_be_opened_again_ends_the_engine() -> None:
    with serving(CHAOS, slots=1) as (engine, backend):
        faults = {"decode", "close"}

        def fail_once(call: Call) -> None:
            if call.name in faults:
                faults.remove(call.name)
                _raise()

        backend.before = fail_once
        failing, waiting = run(engine, request("0", PROMPT), request("1", PROMPT))
        assert failing.failure == BROKEN
        assert waiting.failure is not None
        assert "cannot be started again" in waiting.failure.message
        with pytest.raises(Refusal, match="cannot be started again") as refused:
            engine.submit(request("late", PROMPT), Inbox(1))
        assert refused.value.status == 503
        assert not engine.is_alive


def test_the_backend_is_opened_by_the_thread_that_computes() -> None:
    """OpenMP keeps threads for each thread that computes, and has them sleep where it has many."""
    backend = ScriptedBackend(COUNTING, 1, VOCABULARY.context, 32)
    threads = []

    def opened() -> ScriptedBackend:
        threads.append(threading.current_thread().name)
        return backend.opened()

    engine = EngineLoop(opened, VOCABULARY, Plan(1, 8, 32))
    engine.close()
    assert threads == ["engine"]


def test_a_backend_that_cannot_be_opened_is_told_to_who_opens_the_engine() -> None:
    with pytest.raises(RuntimeError, match="out of order"):
        EngineLoop(_raise, VOCABULARY, Plan(1, 8, 32))


def test_a_prompt_that_begins_alike_is_not_computed_again() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        (alone,) = run(engine, request("alone", [*range(40), 90, 91]))
    with serving(CHAOS, slots=2) as (engine, backend):
        run(engine, request("first", range(40)))
        (second,) = run(engine, request("second", [*range(40), 90, 91]))
    assert second.started is not None and second.started.cached_tokens == 40
    assert alone.started is not None and alone.started.cached_tokens == 0
    assert outcome(second) == outcome(alone)
    assert sum(len(call.tokens) for call in backend.named("prefill")) == 42


def test_what_was_said_is_a_prefix_after_an_idle_time() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        settled = threading.Event()
        (first,) = run(engine, request("first", range(40), max_tokens=20))
        Hook(backend, "prefill", 3).then = settled.set
        assert settled.wait(PATIENCE)
        said = [token for token in first.tokens() if token is not None]
        (second,) = run(engine, request("second", [*range(40), *said, 90, 91]))
        assert second.started is not None and second.started.cached_tokens == 59
    with serving(CHAOS, slots=2) as (engine, backend):
        (alone,) = run(engine, request("second", [*range(40), *said, 90, 91]))
    assert outcome(second) == outcome(alone)


@pytest.mark.parametrize(("prompt", "cached"), [(40, 50), (60, 60), (20, 39), (1, 0)])
def test_what_was_said_where_it_has_the_bits_of_a_prompt_is_a_prefix_at_once(
    prompt: int, cached: int
) -> None:
    asked = [*range(prompt)]
    with serving(CHAOS, slots=2, alike=50) as (engine, _):
        (first,) = run(engine, request("first", asked, max_tokens=20))
        said = [token for token in first.tokens() if token is not None]
        (second,) = run(engine, request("second", [*asked, *said, 90, 91]))
        assert second.started is not None and second.started.cached_tokens == cached
    with serving(CHAOS, slots=2) as (engine, _):
        (alone,) = run(engine, request("second", [*asked, *said, 90, 91]))
    assert outcome(second) == outcome(alone)


@given(
    seed=st.integers(0, 1 << 16),
    period=st.integers(1, 9),
    share=st.sampled_from([0.3, 0.8, 0.95, 1.0]),
    alike=st.integers(0, 120),
    runs=st.dictionaries(st.integers(0, 50), st.lists(st.integers(4, 200), max_size=9)),
    ends=st.frozensets(st.integers(4, 200), max_size=2),
)
@settings(max_examples=80, deadline=None)
def test_drafts_change_nothing(
    seed: int,
    period: int,
    share: float,
    alike: int,
    runs: dict[int, list[int]],
    ends: frozenset[int],
) -> None:
    rule = repeating(SIZE, period, share)
    fixed = {start + n: token for start, run in runs.items() for n, token in enumerate(run)}
    forced = {
        start: [fixed[at] for at in takewhile(fixed.__contains__, count(start))] for start in fixed
    }
    allowed = bitmask(range(4, 200), SIZE)

    def outcomes(drafts: bool) -> list[object]:
        found: list[object] = []
        with serving(rule, slots=2, alike=alike, drafts=drafts) as (engine, _):
            for temperature in (0.0, 1.0):
                guide = ScriptedGuide(ends, masks={5: allowed, 20: allowed}, forced=forced)
                prompt = [*range(10, 20), *range(10, 10 + seed % 8)]
                options = {"repetition_penalty": 1.1, "presence_penalty": 0.5, "top_p": 0.95}
                asked = request(
                    "r",
                    prompt,
                    guide,
                    seed=seed,
                    temperature=temperature,
                    max_tokens=80,
                    top_logprobs=2,
                    **options,
                )
                (inbox,) = run(engine, asked)
                found += [outcome(inbox), guide.accepted]
        return found

    assert outcomes(True) == outcomes(False)


@pytest.mark.parametrize(("drafts", "alike"), [(True, 100), (True, 0), (True, 30), (False, 100)])
def test_what_repeats_itself_is_computed_ahead_where_that_changes_no_bit(
    drafts: bool, alike: int
) -> None:
    asked = request("r", [5, 6, 7, 8, 9] * 3, max_tokens=60)
    reports: list[StepReport] = []
    rule = repeating(SIZE, 5, 1.0)
    with serving(rule, alike=alike, drafts=drafts, report=reports.append) as (engine, backend):
        (inbox,) = run(engine, asked)
    assert inbox.tokens() == [5, 6, 7, 8, 9] * 12
    ahead = backend.named("extend")
    assert all(call.position + len(call.tokens) <= alike for call in ahead)
    drafted = sum(report.drafted for report in reports)
    assert drafted == sum(len(call.tokens) - 1 for call in ahead)
    assert sum(report.accepted for report in reports) == drafted
    calls = len(ahead) + len(backend.named("decode"))
    assert {(True, 100): calls < 12, (True, 30): 40 < calls < 52}.get((drafts, alike), calls == 59)


def test_who_does_not_repeat_itself_is_not_drafted() -> None:
    with serving(CHAOS, alike=128) as (engine, backend):
        run(engine, request("r", PROMPT, max_tokens=60))
    assert backend.named("extend") == []


def test_what_was_guessed_wrongly_is_dropped() -> None:
    asked = request("r", PROMPT, max_tokens=120, top_logprobs=2, temperature=1.0)
    reports: list[StepReport] = []
    rule = repeating(SIZE, 5, 0.9)
    with serving(rule, alike=128, report=reports.append) as (engine, _):
        (drafted,) = run(engine, asked)
    with serving(rule, alike=128, drafts=False) as (engine, _):
        (decoded,) = run(engine, asked)
    assert outcome(drafted) == outcome(decoded)
    accepted = sum(report.accepted for report in reports)
    assert 0 < accepted < sum(report.drafted for report in reports)


def test_choices_that_run_beside_others_are_not_drafted() -> None:
    guides = [ScriptedGuide(), ScriptedGuide()]
    with serving(repeating(SIZE, 5, 1.0), alike=128) as (engine, backend):
        run(engine, request("r", [5, 6, 7, 8, 9] * 3, *guides, max_tokens=30))
    assert backend.named("extend") == []


def test_adapters_have_batches_of_their_own() -> None:
    with serving(CHAOS, slots=4) as (engine, backend):
        for route in ("one", "two"):
            engine.load_adapter(route, Path(route))
        assert set(engine.adapters) == {"one", "two"}
        routes = [None, "one", "two", "one"]
        guides = [ScriptedGuide(), ScriptedGuide()]
        many = [request(str(n), PROMPT, *guides, adapter=each) for n, each in enumerate(routes)]
        run(engine, *many)
    used = {call.adapter for call in backend.named("decode")}
    assert used == {None, 1, 2}


def test_an_adapter_in_use_is_freed_when_its_last_request_ends() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        engine.load_adapter("one", Path("one"))
        inbox = Inbox(1)
        pause = Pause(backend, "decode", 2)
        engine.submit(request("r", PROMPT, adapter="one", max_tokens=5), inbox)
        with pause:
            engine.unload_adapter("one")
            assert engine.adapters == ()
            with pytest.raises(Refusal, match="there are none") as refused:
                engine.submit(request("late", PROMPT, adapter="one"), Inbox(1))
            assert (refused.value.status, refused.value.param) == (404, "model")
            assert backend.adapters == [1]
        assert inbox.wait().finishes() == ["length"]
        run(engine, request("after", PROMPT))
        assert backend.adapters == []
        with pytest.raises(Refusal, match="no adapter 'one'"):
            engine.unload_adapter("one")


def test_an_adapter_takes_the_place_of_another() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        engine.load_adapter("one", Path("one"))
        run(engine, request("a", range(30), adapter="one"))
        engine.load_adapter("one", Path("other"))
        (second,) = run(engine, request("b", range(30), adapter="one"))
        assert second.started is not None and second.started.cached_tokens == 0
        assert backend.adapters == [2]


def test_a_file_that_is_no_adapter_harms_nobody() -> None:
    with serving(CHAOS, slots=2) as (engine, _):
        with pytest.raises(ValueError, match="no adapter"):
            engine.load_adapter("one", Path())
        assert engine.adapters == ()
        run(engine, request("a", PROMPT))


def test_a_full_queue_turns_away_and_loses_nothing() -> None:
    with serving(CHAOS, slots=1, queue_requests=2) as (engine, backend):
        pause = Pause(backend, "decode")
        inboxes = [Inbox(1) for _ in range(3)]
        engine.submit(request("0", PROMPT), inboxes[0])
        with pause:
            for number in (1, 2):
                engine.submit(request(str(number), PROMPT), inboxes[number])
            with pytest.raises(Refusal) as refused:
                engine.submit(request("late", PROMPT), Inbox(1))
            assert (refused.value.status, refused.value.code) == (429, "queue_full")
            assert refused.value.retry_after is not None and refused.value.retry_after >= 1
            engine.cancel("2")
        for inbox in inboxes[:2]:
            assert inbox.wait().finishes() == ["length"]
        assert run(engine, request("3", PROMPT))[0].finishes() == ["length"]


def test_every_turn_is_reported() -> None:
    reports: list[StepReport] = []
    with serving(CHAOS, slots=2, report=reports.append) as (engine, _):
        run(engine, request("a", range(40), ScriptedGuide(), ScriptedGuide(), max_tokens=4))
    assert sum(each.prefilled for each in reports) == 40
    assert sum(each.decoded for each in reports) == 6
    assert [reports[-1].running, reports[-1].queued, reports[-1].queued_tokens] == [0, 0, 0]
    assert all(0 <= each.held_tokens <= each.room_tokens for each in reports)
    assert all(each.seconds >= 0 for each in reports)


def test_close_fails_what_is_unfinished_and_frees_the_backend() -> None:
    with serving(CHAOS, slots=1) as (engine, backend):
        pause = Pause(backend, "decode", 3)
        running, queued = Inbox(1), Inbox(1)
        engine.submit(request("running", PROMPT, max_tokens=100), running)
        with pause:
            engine.submit(request("queued", PROMPT), queued)
            closing = threading.Thread(target=engine.close)
            closing.start()
            _wait_until_refused(engine)
        closing.join(PATIENCE)
        assert not closing.is_alive()
        assert running.failure == queued.failure == Failure("the endpoint is shutting down")
        assert len(running.steps) <= 4 and queued.steps == []
        assert backend.named("close") and backend.calls[-1].name == "close"


def _wait_until_refused(engine: EngineLoop) -> None:
    """Close refuses before it waits for the thread, which is held."""
    for number in range(100_000):
        try:
            engine.submit(request(f"late{number}", PROMPT), Inbox(1))
        except Refusal:
            return
    raise AssertionError("submit was never refused")


def test_after_close_nothing_is_taken() -> None:
    with serving(COUNTING) as (engine, _):
        pass
    inbox = Inbox(1)
    with pytest.raises(Refusal) as refused:
        engine.submit(request("late", PROMPT), inbox)
    assert inbox.steps == [] and inbox.failure is None
    assert (refused.value.status, refused.value.retry_after) == (503, 1)
    engine.cancel("late")
    engine.close()


def test_steps_of_one_turn_come_together_and_in_order() -> None:
    batches: list[Any] = []
    inbox = Inbox(3)

    def deliver(message: Message) -> None:
        if not isinstance(message, Started):
            batches.append(message)
        inbox(message)

    guides = [ScriptedGuide() for _ in range(3)]
    with serving(COUNTING) as (engine, _):
        engine.submit(request("r", PROMPT, *guides, max_tokens=3), deliver)
        inbox.wait()
    assert [[step.choice for step in batch] for batch in batches] == [[0, 1, 2]] * 3


def two_likely(_tokens: tuple[int, ...]) -> NDArray[np.float32]:
    """Always 7 before 8, and both far before the rest."""
    logits = np.full(SIZE, -50, np.float32)
    logits[[7, 8]] = 3, 2
    return logits


@pytest.mark.parametrize(
    ("penalty", "tokens"),
    [
        ({}, [7, 7, 7, 7]),
        ({"frequency_penalty": 2.0}, [7, 8, 7, 8]),
        ({"presence_penalty": 1.5}, [7, 8, 7, 7]),
        ({"repetition_penalty": 2.0}, [8, 7, 7, 7]),
    ],
)
def test_penalties_remember_what_a_choice_has_said(
    penalty: dict[str, float], tokens: list[int]
) -> None:
    guides = [ScriptedGuide() for _ in range(3)]
    penalised = request("r", [7, 60, 70], *guides, max_tokens=4, **penalty)
    with serving(two_likely, slots=2) as (engine, _):
        (inbox,) = run(engine, penalised)
    assert [inbox.tokens(choice) for choice in range(3)] == [tokens] * 3


@pytest.mark.usefixtures("quiet")
def test_a_late_choice_that_fails_costs_its_own_request_only() -> None:
    guides = [ScriptedGuide(), ScriptedGuide(), ScriptedGuide(fails_at=0)]
    bad = request("bad", range(10), *guides, max_tokens=3)
    good = request("good", PROMPT, max_tokens=40)
    with serving(CHAOS, slots=3) as (engine, _):
        kept, failed = run(engine, good, bad)
    assert failed.failure is not None
    with serving(CHAOS) as (engine, _):
        (alone,) = run(engine, good)
    assert outcome(kept) == outcome(alone)


@pytest.mark.usefixtures("quiet")
def test_a_late_choice_that_fails_ends_its_running_siblings() -> None:
    guides = [ScriptedGuide(ends=range(SIZE)), ScriptedGuide(), ScriptedGuide(fails_at=0)]
    bad = request("bad", range(10), *guides, max_tokens=30)
    good = request("good", PROMPT, max_tokens=9)
    with serving(CHAOS, slots=2) as (engine, _):
        failed, kept = run(engine, bad, good)
    assert failed.failure is not None
    assert len(failed.of(1)) < 30
    assert kept.finishes() == ["length"]
