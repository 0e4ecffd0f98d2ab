"""Events on their way from a thread to an event loop."""

import asyncio
import threading
from collections.abc import Coroutine
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.generation import EngineError, Event, Generated, Started
from friendli_endpoint.generation.events import FinishReason, TokenFindings, TokenStep
from friendli_endpoint.generation.inbox import EventHandover, EventInbox

PATIENCE = 30.0
STARTED = Started(0, 0.0, 0.0)


def generated(token: int, choice: int = 0, finish: FinishReason | None = None) -> Generated:
    return Generated((TokenStep(choice, token, TokenFindings(1, (), finish)),), 0.5)


def in_time(work: Coroutine[object, object, None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(work, PATIENCE)

    asyncio.run(bounded())


async def read(inbox: EventInbox) -> list[Event]:
    return [event async for event in inbox]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_an_inbox_yields_events_in_order_and_ends_when_every_choice_has_finished(
    lengths: list[int], random: Random
) -> None:
    left = dict(enumerate(lengths))
    events: list[Event] = [STARTED]
    while left:
        choice = random.choice([*left])
        left[choice] -= 1
        events.append(generated(len(events), choice, None if left[choice] else "length"))
        if not left[choice]:
            del left[choice]

    async def scenario() -> None:
        inbox = EventInbox(len(lengths))
        reading = asyncio.create_task(read(inbox))
        for event in events:
            assert not inbox.is_over
            inbox.put(event)
            if random.random() < 0.5:
                await asyncio.sleep(0)
        assert await reading == events
        assert inbox.is_over
        assert await read(inbox) == []

    in_time(scenario())


def test_an_error_is_raised_after_the_events_before_it() -> None:
    async def scenario() -> None:
        inbox = EventInbox(1)
        inbox.put(STARTED)
        inbox.put(EngineError("it is broken"))
        assert await anext(inbox) == STARTED
        with pytest.raises(EngineError, match="it is broken"):
            await anext(inbox)
        assert inbox.is_over

    in_time(scenario())


def test_one_wake_hands_over_the_events_of_many_inboxes() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        handover, inboxes = EventHandover(loop), [EventInbox(1) for _ in range(3)]
        readings = [asyncio.create_task(read(inbox)) for inbox in inboxes]

        def step() -> None:
            for inbox in inboxes:
                handover.put(inbox, STARTED)
                handover.put(inbox, generated(7, finish="stop"))
            handover.wake()

        threading.Thread(target=step).start()
        for reading in readings:
            assert await reading == [STARTED, generated(7, finish="stop")]

    in_time(scenario())


def test_nothing_happens_if_the_event_loop_is_closed() -> None:
    found: list[tuple[EventHandover, EventInbox]] = []

    async def scenario() -> None:
        found.append((EventHandover(asyncio.get_running_loop()), EventInbox(1)))

    in_time(scenario())
    ((handover, inbox),) = found
    handover.put(inbox, STARTED)
    handover.wake()
    assert not inbox.is_over
