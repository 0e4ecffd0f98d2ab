"""The outbox: what it delivers, in which order, and failing deliveries."""

import threading
from time import monotonic

import pytest

from friendli_endpoint.engine.core.admission import Admission, Demand
from friendli_endpoint.engine.core.outbox import Deliver, Outbox, Wake
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

MAX_TOKENS = 10
"""Maximum number of queued prompt tokens."""


@pytest.fixture
def admission() -> Admission:
    return Admission(2, MAX_TOKENS)


@pytest.fixture
def outbox(admission: Admission) -> Outbox:
    return Outbox(admission)


def step(token: int) -> TokenStep:
    return TokenStep(0, token, TokenFindings(0))


def opened(outbox: Outbox, admission: Admission, name: str, deliver: Deliver) -> GenerationRequest:
    """Adds a request with as many tokens as may be queued."""
    asked = request(name, range(MAX_TOKENS))
    admission.enter(Demand.of(asked))
    outbox.open(name, deliver, monotonic())
    return asked


def is_empty(admission: Admission) -> bool:
    """Whether no request is queued: if so, a first one fills the queue, and a second one fails."""
    admission.enter(Demand(MAX_TOKENS))
    try:
        admission.enter(Demand(1))
    except RequestError:
        admission.leave(Demand(MAX_TOKENS))
        return True
    admission.leave(Demand(1))
    admission.leave(Demand(MAX_TOKENS))
    return False


def test_pending_steps_are_delivered_together_and_in_order(
    outbox: Outbox, admission: Admission
) -> None:
    delivered: list[Event | EngineError] = []
    opened(outbox, admission, "r", delivered.append)
    outbox.put("r", [step(1), step(2)])
    outbox.put("r", [step(3)])
    assert delivered == []
    assert outbox.send(lambda _id: True) == []
    (event,) = delivered
    assert isinstance(event, Generated) and event.seconds >= 0
    assert [step.token_id for step in event.steps] == [1, 2, 3]
    outbox.send(lambda _id: True)
    assert len(delivered) == 1, "steps are delivered once, and an event is never empty"
    assert "r" in outbox


def test_a_request_that_is_not_active_is_removed_after_its_last_steps(
    outbox: Outbox, admission: Admission
) -> None:
    delivered: list[Event | EngineError] = []
    opened(outbox, admission, "ends", delivered.append)
    outbox.put("ends", [step(1)])
    assert outbox.send(lambda _id: False) == []
    assert len(delivered) == 1
    assert "ends" not in outbox and len(outbox) == 0


def test_started_is_delivered_at_once_and_once(outbox: Outbox, admission: Admission) -> None:
    delivered: list[Event | EngineError] = []
    asked = opened(outbox, admission, "r", delivered.append)
    outbox.begin(asked)
    outbox.start("r", 3)
    outbox.begin(asked)
    outbox.start("r", 0)
    (event,) = delivered
    assert isinstance(event, Started) and event.cached_tokens == 3
    assert event.queue_seconds >= 0 and event.prefill_seconds >= 0


def test_a_request_leaves_the_queue_when_its_prefill_begins(
    outbox: Outbox, admission: Admission
) -> None:
    asked = opened(outbox, admission, "r", lambda _event: None)
    with pytest.raises(RequestError):
        admission.enter(Demand(MAX_TOKENS))
    outbox.begin(asked)
    outbox.begin(asked)
    assert is_empty(admission)
    outbox.close(asked)
    assert is_empty(admission), "it leaves only once"


def test_a_closed_request_leaves_the_queue_and_gets_no_event(
    outbox: Outbox, admission: Admission
) -> None:
    delivered: list[Event | EngineError] = []
    asked = opened(outbox, admission, "r", delivered.append)
    outbox.put("r", [step(1)])
    outbox.close(asked)
    outbox.send(lambda _id: True)
    assert delivered == [] and "r" not in outbox
    assert is_empty(admission)


def test_a_failed_request_gets_its_error_and_leaves_the_queue(
    outbox: Outbox, admission: Admission
) -> None:
    delivered: list[Event | EngineError] = []
    asked = opened(outbox, admission, "r", delivered.append)
    outbox.put("r", [step(1)])
    outbox.fail(asked, "out of order")
    (failure,) = delivered
    assert isinstance(failure, EngineError) and failure.message == "out of order"
    assert "r" not in outbox and is_empty(admission)


@pytest.mark.usefixtures("quiet")
def test_a_request_whose_delivery_fails_gets_an_error_and_is_removed(
    outbox: Outbox, admission: Admission
) -> None:
    delivered: list[Event | EngineError] = []

    def deliver(event: Event | EngineError) -> None:
        delivered.append(event)
        break_down()

    fine: list[Event | EngineError] = []
    asked = opened(outbox, admission, "bad", deliver)
    outbox.begin(asked)
    outbox.open("good", fine.append, monotonic())
    for name in ("bad", "good"):
        outbox.put(name, [step(1)])
    assert outbox.send(lambda _id: True) == ["bad"]
    assert [type(event) for event in delivered] == [Generated, EngineError]
    assert [type(event) for event in fine] == [Generated]
    assert "bad" not in outbox and "good" in outbox
    assert outbox.send(lambda _id: True) == []


@pytest.mark.usefixtures("quiet")
def test_fail_all_delivers_the_error_to_every_request_despite_a_failing_delivery(
    outbox: Outbox, admission: Admission
) -> None:
    delivered: list[Event | EngineError] = []
    outbox.open("bad", break_down, monotonic())
    outbox.open("good", delivered.append, monotonic())
    outbox.fail_all("the end")
    (failure,) = delivered
    assert isinstance(failure, EngineError) and failure.message == "the end"
    assert len(outbox) == 0


def test_steps_of_all_choices_are_delivered_together_and_in_order() -> None:
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
def test_an_error_in_a_delivery_fails_its_own_request_only(fails_at: int) -> None:
    with serving(CHAOS, slots=2) as (engine, backend):
        delivered: list[Event | EngineError] = []
        failed = threading.Event()

        def deliver(event: Event | EngineError) -> None:
            if isinstance(event, EngineError):
                failed.set()
            delivered.append(event)
            if len(delivered) > fails_at:
                break_down()

        good = Inbox(1)
        engine.submit(request("bad", PROMPT, max_tokens=5), deliver)
        engine.submit(request("good", PROMPT, max_tokens=9), good)
        assert good.wait().finishes() == ["length"]
        assert failed.wait(PATIENCE)
        assert sum(isinstance(event, EngineError) for event in delivered) == 1
        assert len(backend.named("close")) == 0


def test_equal_wakes_of_a_step_are_called_once_after_its_deliveries(
    outbox: Outbox, admission: Admission
) -> None:
    seen: list[str] = []

    def wake() -> None:
        seen.append("wake")

    def deliver(event: Event | EngineError) -> Wake:
        seen.append(type(event).__name__)
        return wake

    for name in "ab":
        outbox.begin(opened(outbox, admission, name, deliver))
        outbox.start(name, 0)
        outbox.put(name, [step(7)])
    assert seen == ["Started", "wake"] * 2
    seen.clear()
    outbox.send(lambda _name: True)
    assert seen == ["Generated", "Generated", "wake"]
    seen.clear()
    outbox.fail_all("closing")
    assert seen == ["EngineError", "EngineError", "wake"]
