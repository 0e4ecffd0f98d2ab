"""The engine loop: submitting, rejecting, cancelling, reporting and closing."""

import threading
from dataclasses import replace

import pytest

from friendli_endpoint.engine.core import loop as loop_module
from friendli_endpoint.engine.core.execution import EngineConfig
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.generation import (
    VERSION,
    MediaSegment,
    RequestError,
    StepReport,
    TextSegment,
)
from tests.engine.core.scripted_loop import (
    CHAOS,
    COUNTING,
    PROMPT,
    VOCABULARY,
    Hook,
    Pause,
    break_down,
    failure,
)
from tests.support.scripted import (
    PATIENCE,
    Inbox,
    ScriptedBackend,
    ScriptedGuide,
    request,
    run,
    scripted_guide,
    serving,
)


def _cancelled(engine: EngineLoop, backend: ScriptedBackend, call: str, number: int) -> Inbox:
    """Cancels a request during a call of the backend, then runs another one in its slots."""
    hook = Hook(backend, call, number)
    hook.then = lambda: engine.cancel("gone")
    gone = Inbox(2)
    engine.submit(request("gone", range(40), ScriptedGuide(), ScriptedGuide(), max_tokens=50), gone)
    (after,) = run(engine, request("after", PROMPT, *(ScriptedGuide() for _ in range(2))))
    assert after.finishes() == ["length"] * 2
    return gone


def test_a_cancel_during_prefill_stops_it_within_a_step() -> None:
    with serving(CHAOS, slots=2, step_tokens=8, max_chunk_tokens=16) as (engine, backend):
        gone = _cancelled(engine, backend, "prefill", 1)
    assert gone.steps == [] and gone.failure is None
    chunks = [call for call in backend.named("prefill") if call.tokens[0] < 40]
    assert len(chunks) == 1


@pytest.mark.parametrize("number", [1, 2, 9])
def test_a_cancel_during_decoding_delivers_at_most_the_current_step(number: int) -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        gone = _cancelled(engine, backend, "decode", number)
    assert gone.failure is None
    assert max(len(gone.of(choice)) for choice in range(2)) <= number + 1


def test_a_request_that_is_cancelled_in_the_queue_takes_no_slot() -> None:
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


def test_cancelling_an_unknown_or_finished_request_does_nothing() -> None:
    with serving(COUNTING) as (engine, _):
        engine.cancel("unknown")
        (inbox,) = run(engine, request("r", PROMPT))
        engine.cancel("r")
        (again,) = run(engine, request("r", PROMPT))
    assert inbox.tokens() == again.tokens()
    assert inbox.late == again.late == []
    engine.cancel("r")


def test_the_backend_is_opened_on_the_engine_thread() -> None:
    """OpenMP keeps threads for each thread that computes, and lets them sleep if they are many."""
    backend = ScriptedBackend(COUNTING, 1, VOCABULARY.context, 32)
    threads = []

    def opened() -> ScriptedBackend:
        threads.append(threading.current_thread().name)
        return backend.opened()

    engine = EngineLoop(opened, scripted_guide, EngineConfig(1, VOCABULARY.context, 8, 32))
    engine.close()
    assert threads == ["engine"]


def test_the_constructor_raises_the_error_of_a_backend_that_cannot_be_opened() -> None:
    with pytest.raises(RuntimeError, match="out of order"):
        EngineLoop(break_down, scripted_guide, EngineConfig(1, VOCABULARY.context, 8, 32))


def test_a_full_queue_rejects_requests_and_serves_the_queued_ones() -> None:
    with serving(CHAOS, slots=1, max_queue=2) as (engine, backend):
        pause = Pause(backend, "decode")
        inboxes = [Inbox(1) for _ in range(3)]
        engine.submit(request("0", PROMPT), inboxes[0])
        with pause:
            for number in (1, 2):
                engine.submit(request(str(number), PROMPT), inboxes[number])
            with pytest.raises(RequestError) as caught:
                engine.submit(request("late", PROMPT), Inbox(1))
            assert (caught.value.status, caught.value.code) == (429, "queue_full")
            assert caught.value.retry_after is not None and caught.value.retry_after >= 1
            engine.cancel("2")
        for inbox in inboxes[:2]:
            assert inbox.wait().finishes() == ["length"]
        assert run(engine, request("3", PROMPT))[0].finishes() == ["length"]


def test_every_step_is_reported() -> None:
    reports: list[StepReport] = []
    with serving(CHAOS, slots=2, report=reports.append) as (engine, _):
        run(engine, request("a", range(40), ScriptedGuide(), ScriptedGuide(), max_tokens=4))
    assert sum(report.prefilled for report in reports) == 40
    assert sum(report.decoded for report in reports) == 6
    assert [reports[-1].running, reports[-1].queued] == [0, 0]
    assert all(0 <= report.kv_cache_tokens <= report.capacity_tokens for report in reports)
    assert all(report.seconds >= 0 for report in reports)


def test_close_fails_unfinished_requests_and_closes_the_backend() -> None:
    with serving(CHAOS, slots=1) as (engine, backend):
        pause = Pause(backend, "decode", 3)
        running, queued = Inbox(1), Inbox(1)
        engine.submit(request("running", PROMPT, max_tokens=100), running)
        with pause:
            engine.submit(request("queued", PROMPT), queued)
            closing = threading.Thread(target=engine.close)
            closing.start()
            _wait_until_closing(engine)
        closing.join(PATIENCE)
        assert not closing.is_alive()
        assert failure(running) == failure(queued) == "the endpoint is shutting down"
        assert len(running.steps) <= 4 and queued.steps == []
        assert backend.named("close") and backend.calls[-1].name == "close"


def _wait_until_closing(engine: EngineLoop) -> None:
    """Waits until requests are rejected: `close` has begun, and waits for the paused thread."""
    for number in range(100_000):
        try:
            engine.submit(request(f"late{number}", PROMPT), Inbox(1))
        except RequestError:
            return
    raise AssertionError("no request was rejected")


def test_requests_are_rejected_after_close() -> None:
    with serving(COUNTING) as (engine, _):
        pass
    inbox = Inbox(1)
    with pytest.raises(RequestError) as caught:
        engine.submit(request("late", PROMPT), inbox)
    assert inbox.steps == [] and inbox.failure is None
    assert (caught.value.status, caught.value.retry_after) == (503, 1)
    engine.cancel("late")
    engine.close()


def test_close_does_not_wait_for_a_step_that_hangs(
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
            assert "the engine is abandoned" in caplog.text
            assert engine.is_alive
        assert "shutting down" in (failure(inbox.wait()) or "")


def test_a_request_of_another_version_is_rejected() -> None:
    with serving(COUNTING) as (engine, _):
        with pytest.raises(RequestError, match=f"must be {VERSION}, got {VERSION + 1}") as caught:
            engine.submit(replace(request("r", PROMPT), version=VERSION + 1), Inbox(1))
        assert (caught.value.status, caught.value.code) == (500, "wrong_version")
        assert run(engine, request("r", PROMPT))[0].finishes() == ["length"]


def test_a_prompt_with_media_is_rejected() -> None:
    medium = MediaSegment(4, bytes(32), b"a picture")
    with serving(COUNTING, max_queue=1) as (engine, _):
        asked = request("r", PROMPT)
        with pytest.raises(RequestError, match="takes text only") as caught:
            engine.submit(replace(asked, prompt=(*asked.prompt, medium)), Inbox(1))
        assert (caught.value.status, caught.value.code) == (400, "unsupported_content")
        assert run(engine, asked)[0].finishes() == ["length"]


def test_text_segments_of_a_prompt_are_concatenated() -> None:
    segments = TextSegment(PROMPT[:1]), TextSegment(PROMPT[1:])
    with serving(CHAOS) as (engine, _):
        (whole,) = run(engine, request("whole", PROMPT))
        (split,) = run(engine, replace(request("split", PROMPT), prompt=segments))
    assert split.tokens() == whole.tokens()
