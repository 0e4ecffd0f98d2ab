"""The loop when something goes wrong around the backend: who is told, and who is not harmed."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.engine import loop as loop_module
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.generation import Failure, Message, Refusal, StepReport
from tests.contract.live import until
from tests.engine.test_loop import CHAOS, PROMPT, Hook, Pause
from tests.support.scripted import (
    PATIENCE,
    Call,
    Inbox,
    ScriptedBackend,
    request,
    run,
    serving,
)


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Faults are logged with their stack; tests that make them need not show it."""
    caplog.set_level(logging.CRITICAL, "friendli_endpoint.engine")


def _check_answered_with_the_first(
    engine: EngineLoop,
    backend: ScriptedBackend,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> None:
    """A request for an adapter is answered with it, whatever comes right before or after it."""
    engine.load_adapter("one", Path("one"))
    pause = Pause(backend, "decode")
    busy, arriving = Inbox(1), Inbox(1)
    engine.submit(request("busy", PROMPT), busy)
    with pause:
        before()
        engine.submit(request("arriving", PROMPT, adapter="one", max_tokens=3), arriving)
        after()
    assert [busy.wait().failure, arriving.wait().failure] == [None, None]
    assert {call.adapter for call in backend.named("decode")} == {None, 1}


def test_an_adapter_is_kept_for_requests_that_are_still_in_the_inbox() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        _check_answered_with_the_first(engine, backend, after=lambda: engine.unload_adapter("one"))
        until(lambda: backend.adapters == [], PATIENCE, "the adapter is freed")


def test_a_replaced_adapter_is_kept_for_requests_that_are_still_in_the_inbox() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        replacing = threading.Thread(target=engine.load_adapter, args=("one", Path("other")))

        def replace() -> None:
            replacing.start()
            until(lambda: engine._inbox.qsize() == 1, PATIENCE, "the message to load is there")

        _check_answered_with_the_first(engine, backend, before=replace)
        replacing.join()
        until(lambda: backend.adapters == [2], PATIENCE, "the first adapter is freed")


@pytest.mark.usefixtures("quiet")
def test_an_adapter_that_cannot_be_freed_costs_no_request() -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        engine.load_adapter("one", Path("one"))
        Hook(backend, "free_adapter").then = _raise
        engine.unload_adapter("one")
        (inbox,) = run(engine, request("r", PROMPT))
        assert inbox.failure is None
        assert len(backend.named("close")) == 0


@pytest.mark.usefixtures("quiet")
def test_a_step_report_that_fails_costs_no_request() -> None:
    def report(_report: StepReport) -> None:
        _raise()

    with serving(CHAOS, report=report) as (engine, backend):
        inboxes = run(engine, request("0", PROMPT), request("1", PROMPT))
        assert [inbox.finishes() for inbox in inboxes] == [["length"]] * 2
        assert len(backend.named("close")) == 0


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("fails_at", [0, 1, 3, 5])
def test_a_delivery_that_fails_costs_its_own_request_only(fails_at: int) -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        told: list[Message] = []
        failed = threading.Event()

        def deliver(message: Message) -> None:
            if isinstance(message, Failure):
                failed.set()
            told.append(message)
            if len(told) > fails_at:
                _raise()

        other = Inbox(1)
        engine.submit(request("bad", PROMPT, max_tokens=5), deliver)
        engine.submit(request("good", PROMPT, max_tokens=9), other)
        assert other.wait().finishes() == ["length"]
        assert failed.wait(PATIENCE)
        assert sum(isinstance(message, Failure) for message in told) == 1
        assert len(backend.named("close")) == 0


@pytest.mark.usefixtures("quiet")
def test_a_request_that_cannot_be_taken_in_fails_alone() -> None:
    with serving(CHAOS) as (engine, backend):
        bad, good = run(engine, request("bad", (2**40,)), request("good", PROMPT))
        assert bad.failure is not None
        assert good.finishes() == ["length"]
        assert len(backend.named("close")) == 0


class Stop(BaseException):
    """Ends a thread: it is caught nowhere."""


@pytest.mark.usefixtures("quiet")
def test_all_requests_fail_when_the_thread_ends() -> None:
    with serving(CHAOS, slots=1) as (engine, backend):
        pause = Pause(backend, "decode")
        running, waiting, arriving = Inbox(1), Inbox(1), Inbox(1)
        engine.submit(request("running", PROMPT, max_tokens=9), running)
        engine.submit(request("waiting", PROMPT), waiting)
        with pause:
            engine.submit(request("arriving", PROMPT), arriving)
            _on_next_decode(backend)
        for inbox in (running, waiting, arriving):
            failure = inbox.wait().failure
            assert failure is not None and "cannot be started again" in failure.message
        engine._thread.join(PATIENCE)
        assert not engine.is_alive
        with pytest.raises(Refusal, match="cannot be started again"):
            engine.submit(request("late", PROMPT), Inbox(1))
        with pytest.raises(Refusal, match="cannot be started again"):
            engine.load_adapter("one", Path("one"))


def _on_next_decode(backend: ScriptedBackend) -> None:
    def stop(call: Call) -> None:
        if call.name == "decode":
            backend.before = lambda _call: None
            raise Stop

    backend.before = stop


def test_the_engine_stalls_while_a_step_is_made_and_not_while_it_is_idle(
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


def test_opening_the_backend_anew_is_not_a_stall(
    monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    stalled: list[float] = []
    with serving(CHAOS) as (engine, backend):
        opened = backend.opened

        def reopened() -> ScriptedBackend:
            stalled.append(engine.stalled_seconds)
            return opened()

        monkeypatch.setattr(engine, "_open_backend", reopened)
        Hook(backend, "decode").then = _raise
        run(engine, request("r", PROMPT))
        assert stalled == [0.0]


@pytest.mark.usefixtures("quiet")
def test_a_step_that_hangs_after_the_backend_was_opened_anew_is_a_stall(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(loop_module, "monotonic", lambda: now[0])
    with serving(CHAOS) as (engine, backend):
        inbox = Inbox(1)
        pauses: list[Pause] = []

        def fail_then_pause() -> None:
            pauses.append(Pause(backend, "prefill"))
            _raise()

        Hook(backend, "prefill").then = fail_then_pause
        engine.submit(request("r", PROMPT), inbox)
        until(lambda: pauses, PATIENCE, "the first prefill fails")
        with pauses[0]:
            now[0] += 40
            assert engine.stalled_seconds == 40
        assert inbox.wait().failure is None


def test_closing_does_not_wait_for_a_step_that_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(CHAOS) as (engine, backend):
        pause = Pause(backend, "decode")
        inbox = Inbox(1)
        engine.submit(request("r", PROMPT), inbox)
        with pause:
            with monkeypatch.context() as patched:
                patched.setattr(loop_module, "CLOSE_SECONDS", 0.01)
                engine.close()
            assert "left behind" in caplog.text
            assert engine.is_alive
        failure = inbox.wait().failure
        assert failure is not None and "shutting down" in failure.message


def _raise(*_given: Any) -> None:
    raise RuntimeError("the library is out of order")
