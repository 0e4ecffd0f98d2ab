"""Errors in a guide, in the backend, in a report and in the thread: which requests they fail."""

from dataclasses import replace
from pathlib import Path

import pytest

from friendli_endpoint.engine.core import loop as loop_module
from friendli_endpoint.generation import (
    DecodingRules,
    EngineError,
    Event,
    Generated,
    GenerationRequest,
    Guide,
    RequestError,
    Started,
    StepReport,
)
from tests.contract.live import until
from tests.engine.core.scripted_loop import (
    BROKEN,
    CHAOS,
    PROMPT,
    SIZE,
    Hook,
    Pause,
    break_down,
    draw,
    failure,
    outcome,
    with_new_guides,
)
from tests.support.scripted import (
    PATIENCE,
    Call,
    Inbox,
    ScriptedBackend,
    ScriptedGuide,
    ScriptedRules,
    request,
    run,
    scripted_guide,
    serving,
)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("fails_at", [0, 1, 3])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_an_error_in_a_guide_fails_its_own_request_only(fails_at: int, position: int) -> None:
    guides = [ScriptedGuide() for _ in range(3)]
    guides[position] = ScriptedGuide(fails_at=fails_at)
    bad = request("bad", range(10), *guides, max_tokens=6)
    good = [draw(str(seed), seed) for seed in (7, 11, 13)]
    with serving(CHAOS, slots=6) as (engine, _):
        before, failed, *after = run(engine, good[0], bad, *good[1:])
        (again,) = run(engine, with_new_guides(good[0]))
    assert failure(failed) == "the request failed in the engine: the guide cannot go on"
    assert failed.late == []
    with serving(CHAOS) as (engine, _):
        alone = run(engine, *map(with_new_guides, good))
    assert list(map(outcome, (before, *after))) == list(map(outcome, alone))
    assert outcome(again) == outcome(alone[0])


@pytest.mark.usefixtures("quiet")
def test_an_error_in_a_waiting_choice_fails_its_own_request_only() -> None:
    guides = [ScriptedGuide(), ScriptedGuide(), ScriptedGuide(fails_at=0)]
    bad = request("bad", range(10), *guides, max_tokens=3)
    good = request("good", PROMPT, max_tokens=40)
    with serving(CHAOS, slots=3) as (engine, _):
        kept, failed = run(engine, good, bad)
    assert failed.failure is not None
    with serving(CHAOS) as (engine, _):
        (alone,) = run(engine, with_new_guides(good))
    assert outcome(kept) == outcome(alone)


@pytest.mark.usefixtures("quiet")
def test_an_error_in_a_waiting_choice_ends_the_running_choices_of_its_request() -> None:
    guides = [ScriptedGuide(ends=range(SIZE)), ScriptedGuide(), ScriptedGuide(fails_at=0)]
    bad = request("bad", range(10), *guides, max_tokens=30)
    good = request("good", PROMPT, max_tokens=9)
    with serving(CHAOS, slots=2) as (engine, _):
        failed, kept = run(engine, bad, good)
    assert failed.failure is not None
    assert len(failed.of(1)) < 30
    assert kept.finishes() == ["length"]


def two_choices(name: str, first: int = 0) -> GenerationRequest:
    """Returns a request with two choices and a prompt that takes two chunks."""
    return request(name, range(first, first + 50), ScriptedGuide(), ScriptedGuide(), max_tokens=9)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("name", "number"), [("copy", 1), ("decode", 1), ("decode", 3)])
def test_an_error_in_the_backend_fails_running_requests(name: str, number: int) -> None:
    with serving(CHAOS, slots=2, max_chunk_tokens=32) as (engine, backend):
        (first,) = run(engine, two_choices("first"))
        Hook(backend, name, number).then = break_down
        (failing,) = run(engine, two_choices("second", 60))
        assert failure(failing) == BROKEN
        (after,) = run(engine, two_choices("third"))
    assert outcome(after) == outcome(first)
    assert failing.late == []
    assert backend.opens == 2


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("number", [1, 2])
def test_a_prompt_is_prefilled_again_after_the_backend_failed_in_it(number: int) -> None:
    with serving(CHAOS, slots=2, max_chunk_tokens=32) as (engine, _):
        (first,) = run(engine, two_choices("first"))
    with serving(CHAOS, slots=2, max_chunk_tokens=32) as (engine, backend):
        Hook(backend, "prefill", number).then = break_down
        (retried,) = run(engine, two_choices("second"))
        assert outcome(retried) == outcome(first) and retried.late == []
        assert backend.opens == 2


@pytest.mark.usefixtures("quiet")
def test_started_is_delivered_once_for_a_prompt_that_is_prefilled_again() -> None:
    """The backend fails after the whole prompt was computed, before the first choice begins."""
    with serving(CHAOS, slots=1) as (engine, backend):
        Hook(backend, "truncate", 2).then = break_down
        delivered: list[object] = []
        inbox = Inbox(1)

        def deliver(event: Event | EngineError) -> None:
            delivered.append(type(event))
            inbox(event)

        engine.submit(request("r", PROMPT, max_tokens=2), deliver)
        assert inbox.wait().finishes() == ["length"]
    assert delivered == [Started, Generated, Generated]
    assert len(backend.named("prefill")) == 2
    assert inbox.late == []


@pytest.mark.usefixtures("quiet")
def test_a_guide_that_cannot_be_created_fails_its_own_request_only() -> None:
    def make_guide(rules: DecodingRules) -> Guide:
        if rules.min_tokens:
            break_down()
        return scripted_guide(rules)

    bad = replace(two_choices("bad"), rules=ScriptedRules((), min_tokens=1))
    with serving(CHAOS, slots=3, make_guide=make_guide) as (engine, backend):
        kept, failed = run(engine, request("good", PROMPT, max_tokens=20), bad)
        (after,) = run(engine, two_choices("after", 60))
        assert backend.opens == 1
    assert failure(failed) == "the request failed in the engine: the library is out of order"
    assert kept.finishes() == ["length"] and after.finishes() == ["length"] * 2


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("is_filled", [False, True])
def test_the_slot_of_a_failed_choice_has_the_prompt_that_the_scheduler_assumes(
    is_filled: bool,
) -> None:
    """The first choice fails before the second one has its copy of the prompt."""
    guides = [ScriptedGuide(fails_at=0), ScriptedGuide()]
    with serving(CHAOS, slots=2) as (engine, _):
        (alone,) = run(engine, two_choices("alone"))
    with serving(CHAOS, slots=2) as (engine, _):
        if is_filled:
            run(engine, two_choices("other", 100))
        run(engine, request("bad", range(50), *guides))
        (after,) = run(engine, two_choices("after"))
        assert outcome(after) == outcome(alone)


@pytest.mark.usefixtures("quiet")
def test_a_prompt_in_which_the_backend_failed_twice_fails() -> None:
    with serving(CHAOS, slots=1) as (engine, backend):

        def poisoned(call: Call) -> None:
            if call.name == "prefill" and 66 in call.tokens:
                break_down()

        backend.before = poisoned
        poison, healthy = run(engine, request("poison", [66] * 4), request("healthy", PROMPT))
        assert failure(poison) == BROKEN
        assert healthy.finishes() == ["length"]
    assert backend.opens == 3


@pytest.mark.usefixtures("quiet")
def test_queued_requests_survive_an_error_in_the_backend() -> None:
    with serving(CHAOS, slots=1) as (engine, backend):
        pause = Pause(backend, "prefill")
        inboxes = [Inbox(1) for _ in range(3)]
        engine.submit(request("0", PROMPT), inboxes[0])
        with pause:
            for number in (1, 2):
                engine.submit(request(str(number), PROMPT), inboxes[number])
            Hook(backend, "decode").then = break_down
        assert [failure(inbox.wait()) for inbox in inboxes] == [BROKEN, None, None]


@pytest.mark.usefixtures("quiet")
def test_a_backend_that_cannot_be_reopened_ends_the_engine() -> None:
    with serving(CHAOS, slots=1) as (engine, backend):
        faults = {"decode", "close"}

        def fail_once(call: Call) -> None:
            if call.name in faults:
                faults.remove(call.name)
                break_down()

        backend.before = fail_once
        failing, waiting = run(engine, request("0", PROMPT), request("1", PROMPT))
        assert failure(failing) == BROKEN
        assert "cannot be started again" in (failure(waiting) or "")
        with pytest.raises(RequestError, match="cannot be started again") as caught:
            engine.submit(request("late", PROMPT), Inbox(1))
        assert caught.value.status == 503
        assert not engine.is_alive


@pytest.mark.usefixtures("quiet")
def test_an_error_in_a_step_report_fails_no_request() -> None:
    def report(_report: StepReport) -> None:
        break_down()

    with serving(CHAOS, report=report) as (engine, backend):
        inboxes = run(engine, request("0", PROMPT), request("1", PROMPT))
        assert [inbox.finishes() for inbox in inboxes] == [["length"]] * 2
        assert len(backend.named("close")) == 0


@pytest.mark.usefixtures("quiet")
def test_a_request_that_cannot_be_added_fails_alone() -> None:
    with serving(CHAOS) as (engine, backend):
        bad, good = run(engine, request("bad", (2**40,)), request("good", PROMPT))
        assert bad.failure is not None
        assert good.finishes() == ["length"]
        assert len(backend.named("close")) == 0


class Stop(BaseException):
    """Exception that ends the thread, since nothing catches it."""


@pytest.mark.usefixtures("quiet")
def test_all_requests_fail_if_the_thread_ends() -> None:
    with serving(CHAOS, slots=1) as (engine, backend):
        pause = Pause(backend, "decode")
        running, waiting, arriving = Inbox(1), Inbox(1), Inbox(1)
        engine.submit(request("running", PROMPT, max_tokens=9), running)
        engine.submit(request("waiting", PROMPT), waiting)
        with pause:
            engine.submit(request("arriving", PROMPT), arriving)
            _stop_at_next_decode(backend)
        for inbox in (running, waiting, arriving):
            assert "cannot be started again" in (failure(inbox.wait()) or "")
        engine._thread.join(PATIENCE)
        assert not engine.is_alive
        with pytest.raises(RequestError, match="cannot be started again"):
            engine.submit(request("late", PROMPT), Inbox(1))
        with pytest.raises(RequestError, match="cannot be started again"):
            engine.load_adapter("one", Path("one"))


def _stop_at_next_decode(backend: ScriptedBackend) -> None:
    def stop(call: Call) -> None:
        if call.name == "decode":
            backend.before = lambda _call: None
            raise Stop

    backend.before = stop


def test_stalled_seconds_grow_during_a_step_and_are_zero_when_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(loop_module, "monotonic", lambda: now[0])
    with serving(CHAOS) as (engine, backend):
        assert engine.is_alive
        now[0] += 100
        assert engine.stalled_seconds == 0
        pause = Pause(backend, "decode", 2)
        inbox = Inbox(1)
        engine.submit(request("r", PROMPT), inbox)
        with pause:
            now[0] += 40
            assert engine.stalled_seconds == 40
            assert engine.is_alive
        inbox.wait()
        until(lambda: engine.stalled_seconds == 0, PATIENCE, "the engine is idle")


def test_stalled_seconds_are_zero_while_the_backend_is_reopened(
    monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    stalled: list[float] = []
    with serving(CHAOS) as (engine, backend):
        opened = backend.opened

        def reopened() -> ScriptedBackend:
            stalled.append(engine.stalled_seconds)
            return opened()

        monkeypatch.setattr(engine, "_open_backend", reopened)
        Hook(backend, "decode").then = break_down
        run(engine, request("r", PROMPT))
        assert stalled == [0.0]


@pytest.mark.usefixtures("quiet")
def test_stalled_seconds_grow_in_a_step_after_the_backend_was_reopened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(loop_module, "monotonic", lambda: now[0])
    with serving(CHAOS) as (engine, backend):
        inbox = Inbox(1)
        pauses: list[Pause] = []

        def fail_then_pause() -> None:
            pauses.append(Pause(backend, "prefill"))
            break_down()

        Hook(backend, "prefill").then = fail_then_pause
        engine.submit(request("r", PROMPT), inbox)
        until(lambda: pauses, PATIENCE, "the first prefill fails")
        with pauses[0]:
            now[0] += 40
            assert engine.stalled_seconds == 40
        assert inbox.wait().failure is None
