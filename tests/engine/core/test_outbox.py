"""What is delivered, in which order, and what becomes of those who cannot be told."""

import threading
from time import monotonic

import pytest

from friendli_endpoint.engine.core.admission import Admission
from friendli_endpoint.engine.core.outbox import Deliver, Outbox
from friendli_endpoint.generation import (
    EngineError,
    Event,
    Generated,
    GenerationRequest,
    RequestError,
    Started,
    TokenFindings,
    TokenStep,
)
from tests.engine.core.scripted_loop import CHAOS, COUNTING, PROMPT, break_down
from tests.support.scripted import PATIENCE, Inbox, ScriptedGuide, request, serving

ROOM = 10
"""Prompt tokens that may wait."""


@pytest.fixture
def admission() -> Admission:
    return Admission(2, ROOM)


@pytest.fixture
def outbox(admission: Admission) -> Outbox:
    return Outbox(admission)


def step(token: int) -> TokenStep:
    return TokenStep(0, token, TokenFindings(0))


def opened(outbox: Outbox, admission: Admission, name: str, deliver: Deliver) -> GenerationRequest:
    """A request of as many tokens as may wait, which has come."""
    asked = request(name, range(ROOM))
    admission.enter(ROOM)
    outbox.open(name, deliver, monotonic())
    return asked


def has_room(admission: Admission) -> bool:
    """Whether nothing waits: one request may always, and a second one not beside it."""
    admission.enter(ROOM)
    try:
        admission.enter(1)
    except RequestError:
        admission.leave(ROOM)
        return True
    admission.leave(1)
    admission.leave(ROOM)
    return False


def test_steps_go_out_together_and_in_order(outbox: Outbox, admission: Admission) -> None:
    told: list[Event | EngineError] = []
    opened(outbox, admission, "r", told.append)
    outbox.put("r", [step(1), step(2)])
    outbox.put("r", [step(3)])
    assert told == []
    assert outbox.send(lambda _id: True) == []
    (event,) = told
    assert isinstance(event, Generated) and event.seconds >= 0
    assert [step.token_id for step in event.steps] == [1, 2, 3]
    outbox.send(lambda _id: True)
    assert len(told) == 1, "what has gone out does not go out again, and nothing is sent empty"
    assert "r" in outbox


def test_a_request_that_does_not_go_on_is_forgotten_after_its_last_steps(
    outbox: Outbox, admission: Admission
) -> None:
    told: list[Event | EngineError] = []
    opened(outbox, admission, "ends", told.append)
    outbox.put("ends", [step(1)])
    assert outbox.send(lambda _id: False) == []
    assert len(told) == 1
    assert "ends" not in outbox and len(outbox) == 0


def test_a_started_prompt_is_told_at_once_and_once(outbox: Outbox, admission: Admission) -> None:
    told: list[Event | EngineError] = []
    asked = opened(outbox, admission, "r", told.append)
    outbox.begin(asked)
    outbox.start("r", 3)
    outbox.begin(asked)
    outbox.start("r", 0)
    (event,) = told
    assert isinstance(event, Started) and event.cached_tokens == 3
    assert event.queue_seconds >= 0 and event.prefill_seconds >= 0


def test_a_request_waits_until_its_prompt_is_begun(outbox: Outbox, admission: Admission) -> None:
    asked = opened(outbox, admission, "r", lambda _event: None)
    with pytest.raises(RequestError):
        admission.enter(ROOM)
    outbox.begin(asked)
    outbox.begin(asked)
    assert has_room(admission)
    outbox.close(asked)
    assert has_room(admission), "it left once"


def test_a_closed_request_waits_no_more_and_is_told_nothing(
    outbox: Outbox, admission: Admission
) -> None:
    told: list[Event | EngineError] = []
    asked = opened(outbox, admission, "r", told.append)
    outbox.put("r", [step(1)])
    outbox.close(asked)
    outbox.send(lambda _id: True)
    assert told == [] and "r" not in outbox
    assert has_room(admission)


def test_a_failed_request_is_told_why_and_waits_no_more(
    outbox: Outbox, admission: Admission
) -> None:
    told: list[Event | EngineError] = []
    asked = opened(outbox, admission, "r", told.append)
    outbox.put("r", [step(1)])
    outbox.fail(asked, "out of order")
    (failure,) = told
    assert isinstance(failure, EngineError) and failure.message == "out of order"
    assert "r" not in outbox and has_room(admission)


@pytest.mark.usefixtures("quiet")
def test_a_request_that_cannot_be_told_has_failed(outbox: Outbox, admission: Admission) -> None:
    told: list[Event | EngineError] = []

    def deliver(event: Event | EngineError) -> None:
        told.append(event)
        break_down()

    fine: list[Event | EngineError] = []
    asked = opened(outbox, admission, "bad", deliver)
    outbox.begin(asked)
    outbox.open("good", fine.append, monotonic())
    for name in ("bad", "good"):
        outbox.put(name, [step(1)])
    assert outbox.send(lambda _id: True) == ["bad"]
    assert [type(event) for event in told] == [Generated, EngineError]
    assert [type(event) for event in fine] == [Generated]
    assert "bad" not in outbox and "good" in outbox
    assert outbox.send(lambda _id: True) == []


@pytest.mark.usefixtures("quiet")
def test_at_the_end_all_are_told_whoever_cannot_be(outbox: Outbox, admission: Admission) -> None:
    told: list[Event | EngineError] = []
    outbox.open("bad", break_down, monotonic())
    outbox.open("good", told.append, monotonic())
    outbox.end("the end")
    (failure,) = told
    assert isinstance(failure, EngineError) and failure.message == "the end"
    assert len(outbox) == 0


def test_steps_of_one_turn_come_together_and_in_order() -> None:
    batches: list[Generated] = []
    inbox = Inbox(3)

    def deliver(event: Event | EngineError) -> None:
        if isinstance(event, Generated):
            batches.append(event)
        inbox(event)

    guides = [ScriptedGuide() for _ in range(3)]
    with serving(COUNTING) as (engine, _):
        engine.submit(request("r", PROMPT, *guides, max_tokens=3), deliver)
        inbox.wait()
    assert [[step.choice for step in batch.steps] for batch in batches] == [[0, 1, 2]] * 3


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("fails_at", [0, 1, 3, 5])
def test_a_delivery_that_fails_costs_its_own_request_only(fails_at: int) -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        told: list[Event | EngineError] = []
        failed = threading.Event()

        def deliver(event: Event | EngineError) -> None:
            if isinstance(event, EngineError):
                failed.set()
            told.append(event)
            if len(told) > fails_at:
                break_down()

        other = Inbox(1)
        engine.submit(request("bad", PROMPT, max_tokens=5), deliver)
        engine.submit(request("good", PROMPT, max_tokens=9), other)
        assert other.wait().finishes() == ["length"]
        assert failed.wait(PATIENCE)
        assert sum(isinstance(event, EngineError) for event in told) == 1
        assert len(backend.named("close")) == 0
