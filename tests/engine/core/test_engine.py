"""`LocalEngine` on a scripted backend: the bridge from the engine's thread to an event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from friendli_endpoint.engine.core.backend import AdapterError
from friendli_endpoint.engine.core.engine import MAX_BUFFERED, LocalEngine, _Inbox
from friendli_endpoint.engine.core.loop import EngineLoop
from friendli_endpoint.generation import (
    VERSION,
    Engine,
    EngineError,
    Event,
    Generated,
    GenerationRequest,
    ModelCard,
    RequestError,
    Started,
    TokenStep,
)
from friendli_endpoint.generation.inbox import EventHandover
from tests.contract.live import until
from tests.engine.core.scripted_loop import (
    BROKEN,
    CHAOS,
    COUNTING,
    PROMPT,
    VOCABULARY,
    Hook,
    Pause,
    break_down,
)
from tests.support.scripted import PATIENCE, Inbox, ScriptedGuide, request, run, serving

T = TypeVar("T")

CARD = ModelCard("scripted", VOCABULARY.context, VOCABULARY.size, 4, None, ("text",), (), True)


def in_time(work: Coroutine[object, object, T]) -> T:
    """Runs a coroutine on a new event loop, with a time limit."""

    async def bounded() -> T:
        return await asyncio.wait_for(work, PATIENCE)

    return asyncio.run(bounded())


async def events_of(engine: LocalEngine, asked: GenerationRequest) -> list[Event]:
    async with engine.run(asked) as events:
        return [event async for event in events]


def steps_of(events: list[Event]) -> list[TokenStep]:
    return [step for event in events if isinstance(event, Generated) for step in event.steps]


@pytest.fixture
def cancelled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the requests that are cancelled."""
    ids: list[str] = []
    cancel = EngineLoop.cancel

    def spy(self: EngineLoop, request_id: str) -> None:
        ids.append(request_id)
        cancel(self, request_id)

    monkeypatch.setattr(EngineLoop, "cancel", spy)
    return ids


def is_idle(loop: EngineLoop) -> bool:
    return loop._execution.idle and loop._inbox.empty()


def test_a_local_engine_implements_engine() -> None:
    with serving(COUNTING) as (loop, _):
        engine: Engine = LocalEngine(loop, CARD)
        assert engine.card == CARD
        assert engine.is_alive and engine.stalled_seconds == 0
        in_time(engine.aclose())
        assert not engine.is_alive


def test_entering_raises_the_error_of_a_rejected_request(cancelled: list[str]) -> None:
    async def rejected(engine: LocalEngine, asked: GenerationRequest) -> RequestError:
        with pytest.raises(RequestError) as caught:
            async with engine.run(asked):
                raise AssertionError("the request was not rejected")
        return caught.value

    with serving(COUNTING) as (loop, _):
        engine = LocalEngine(loop, CARD)
        asked = request("r", PROMPT)
        assert in_time(rejected(engine, replace(asked, adapter="one"))).status == 404
        assert (
            in_time(rejected(engine, replace(asked, version=VERSION + 1))).code == "wrong_version"
        )
        assert len(in_time(events_of(engine, asked))) == 6
    assert in_time(rejected(engine, asked)).code == "draining"
    assert cancelled == [], "a rejected request needs no cancelling"


def test_a_resumed_request_enters_a_full_queue_and_is_served_first() -> None:
    async def fill(engine: LocalEngine) -> list[str]:
        ended = []

        async def take(name: str, events: AsyncIterator[Event]) -> None:
            assert len([event async for event in events]) == 6
            ended.append(name)

        resumed = replace(request("resumed", PROMPT), resumed=True)
        async with engine.run(request("waiting", PROMPT)) as first, engine.run(resumed) as second:
            pause.__exit__()
            await asyncio.gather(take("waiting", first), take("resumed", second))
        return ended

    with serving(CHAOS, slots=1, max_queue=1) as (loop, backend):
        pause = Pause(backend, "decode")
        loop.submit(request("busy", PROMPT), Inbox(1))
        pause.__enter__()
        assert in_time(fill(LocalEngine(loop, CARD))) == ["resumed", "waiting"]


def test_entering_raises_an_error_if_the_queue_is_full() -> None:
    async def fill(engine: LocalEngine) -> str | None:
        async with engine.run(request("waiting", PROMPT)) as events:
            with pytest.raises(RequestError) as caught:
                await engine.run(request("late", PROMPT)).__aenter__()
            pause.__exit__()
            assert len([event async for event in events]) == 6
        return caught.value.code

    with serving(CHAOS, slots=1, max_queue=1) as (loop, backend):
        pause = Pause(backend, "decode")
        busy = Inbox(1)
        loop.submit(request("busy", PROMPT), busy)
        pause.__enter__()
        assert in_time(fill(LocalEngine(loop, CARD))) == "queue_full"
        assert busy.wait().finishes() == ["length"]


def test_iterating_yields_started_then_generated_and_ends(cancelled: list[str]) -> None:
    guides = [ScriptedGuide(ends=[82]), ScriptedGuide(), ScriptedGuide(ends=[81])]

    async def iterate(engine: LocalEngine) -> tuple[list[Event], list[Event]]:
        async with engine.run(request("r", PROMPT, *guides, max_tokens=4)) as events:
            all_events = [event async for event in events]
            return all_events, [event async for event in events]

    with serving(COUNTING) as (loop, _):
        (started, *generated), after = in_time(iterate(LocalEngine(loop, CARD)))
    assert isinstance(started, Started)
    assert [type(event) for event in generated] == [Generated] * 4
    steps = steps_of(generated)
    assert [[step.token_id for step in steps if step.choice == n] for n in range(3)] == [
        [81, 82],
        [81, 82, 83, 84],
        [81],
    ]
    last = generated[-1]
    assert isinstance(last, Generated) and last.num_finished == 1
    assert after == []
    assert cancelled == [], "a finished request needs no cancelling"


def test_leaving_early_cancels_the_request(cancelled: list[str]) -> None:
    async def leave(engine: LocalEngine) -> None:
        async with engine.run(request("r", PROMPT, max_tokens=100)) as events:
            async for event in events:
                if isinstance(event, Generated):
                    await asyncio.to_thread(pause.__enter__)
                    break
        pause.__exit__()

    with serving(CHAOS, slots=1) as (loop, backend):
        pause = Pause(backend, "decode", 3)
        in_time(leave(LocalEngine(loop, CARD)))
        until(lambda: is_idle(loop), PATIENCE, "the request is gone")
        assert len(backend.named("decode")) == 3, "nothing is computed after the step"
    assert cancelled == ["r"]


def test_an_exception_in_the_block_cancels_the_request(cancelled: list[str]) -> None:
    async def fail(engine: LocalEngine) -> None:
        async with engine.run(request("r", PROMPT, max_tokens=100)):
            await asyncio.to_thread(pause.__enter__)
            raise ZeroDivisionError

    with serving(CHAOS, slots=1) as (loop, backend):
        pause = Pause(backend, "decode", 3)
        with pytest.raises(ZeroDivisionError):
            in_time(fail(LocalEngine(loop, CARD)))
        pause.__exit__()
        until(lambda: is_idle(loop), PATIENCE, "the request is gone")
        assert len(backend.named("decode")) == 3
    assert cancelled == ["r"]


def test_a_cancelled_task_cancels_its_request(cancelled: list[str]) -> None:
    async def cancel(engine: LocalEngine) -> None:
        task = asyncio.create_task(events_of(engine, request("r", PROMPT, max_tokens=100)))
        await asyncio.to_thread(pause.__enter__)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        pause.__exit__()

    with serving(CHAOS, slots=1) as (loop, backend):
        pause = Pause(backend, "decode", 3)
        in_time(cancel(LocalEngine(loop, CARD)))
        until(lambda: is_idle(loop), PATIENCE, "the request is gone")
        assert len(backend.named("decode")) == 3
    assert cancelled == ["r"]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("stream", [True, False])
def test_a_failure_is_raised_after_the_events_before_it(stream: bool, cancelled: list[str]) -> None:
    async def iterate(engine: LocalEngine) -> tuple[list[Event], list[Event], EngineError]:
        seen: list[Event] = []
        asked = replace(request("r", PROMPT, max_tokens=100), stream=stream)
        async with engine.run(asked) as events:
            with pytest.raises(EngineError) as failure:
                async for event in events:
                    seen.append(event)  # noqa: PERF401
            return seen, [event async for event in events], failure.value

    with serving(COUNTING) as (loop, backend):
        Hook(backend, "decode", 50).then = break_down
        seen, after, failure = in_time(iterate(LocalEngine(loop, CARD)))
    assert failure.message == BROKEN and failure.retryable
    assert [step.token_id for step in steps_of(seen)] == [81 + n for n in range(50)]
    assert isinstance(seen[0], Started)
    assert after == []
    assert cancelled == [], "a failed request needs no cancelling"


@contextmanager
def waking(loop: asyncio.AbstractEventLoop) -> Iterator[list[None]]:
    """Collects an item whenever another thread wakes an event loop."""
    wakes: list[None] = []
    wake = loop.call_soon_threadsafe

    def counted(callback: Callable[..., object], *given: object) -> asyncio.Handle:
        wakes.append(None)
        return wake(callback, *given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "call_soon_threadsafe", counted)
        yield wakes


@pytest.mark.parametrize("count", [1, MAX_BUFFERED - 1, MAX_BUFFERED, MAX_BUFFERED + 1, 100])
def test_without_streaming_the_event_loop_is_woken_once_for_many_events(count: int) -> None:
    async def collect(engine: LocalEngine, stream: bool) -> tuple[list[Event], int]:
        asked = replace(request("r", PROMPT, max_tokens=count, temperature=1.0), stream=stream)
        with waking(asyncio.get_running_loop()) as wakes:
            return await events_of(engine, asked), len(wakes)

    with serving(CHAOS) as (loop, _):
        engine = LocalEngine(loop, CARD)
        streamed, streamed_wakes = in_time(collect(engine, True))
        whole, whole_wakes = in_time(collect(engine, False))
    assert steps_of(whole) == steps_of(streamed)
    assert [type(event) for event in whole] == [Started, *[Generated] * count]
    assert streamed_wakes == 1 + count
    assert whole_wakes == 1 + -(-count // MAX_BUFFERED), "once for `Started`, then per group"


def test_without_streaming_the_end_of_a_choice_is_delivered_at_once() -> None:
    async def first_end(engine: LocalEngine) -> list[Event]:
        guides = [ScriptedGuide(ends=[85]), ScriptedGuide()]
        asked = replace(request("r", PROMPT, *guides, max_tokens=100), stream=False)
        seen: list[Event] = []
        async with engine.run(asked) as events:
            async for event in events:
                seen.append(event)
                if isinstance(event, Generated) and event.num_finished:
                    break
            pause.__exit__()
            seen += [event async for event in events]
        return seen

    with serving(COUNTING) as (loop, backend):
        pause = Pause(backend, "decode", 10)
        events = in_time(first_end(LocalEngine(loop, CARD)))
    steps = steps_of(events)
    assert [step.token_id for step in steps if step.choice == 0] == [*range(81, 86)]
    assert [step.token_id for step in steps if step.choice == 1] == [*range(81, 181)]


def test_concurrent_requests_get_their_own_events_only() -> None:
    async def together(engine: LocalEngine) -> list[list[Event]]:
        return await asyncio.gather(
            *(
                events_of(engine, replace(request(str(n), [50 + n], max_tokens=40), stream=stream))
                for n, stream in enumerate([True, False, True, False])
            )
        )

    with serving(COUNTING) as (loop, _):
        answers = in_time(together(LocalEngine(loop, CARD)))
    for number, events in enumerate(answers):
        tokens = [step.token_id for step in steps_of(events)]
        assert tokens == [51 + number + n for n in range(40)]


def test_an_event_for_a_closed_event_loop_is_dropped() -> None:
    async def inbox() -> _Inbox:
        handover = EventHandover(asyncio.get_running_loop())
        return _Inbox(request("r", PROMPT), handover)

    in_time(inbox()).deliver(Started(0, 0.0, 0.0))


def test_a_file_that_is_not_an_adapter_is_rejected() -> None:
    with serving(CHAOS) as (loop, _):
        engine = LocalEngine(loop, CARD)
        with pytest.raises(RequestError, match="no adapter") as caught:
            in_time(engine.load_adapter("one", Path()))
        found = caught.value
        assert (found.status, found.code, found.param) == (400, "adapter_refused", "file")
        assert engine.card.adapters == ()
        assert run(loop, request("r", PROMPT))[0].finishes() == ["length"]


def test_a_file_that_fails_its_trial_is_not_loaded() -> None:
    @contextmanager
    def tried(path: Path) -> Iterator[Path]:
        if path.name == "bad.gguf":
            raise AdapterError(f"{path} gives numbers that are not finite")
        yield path

    with serving(CHAOS) as (loop, backend):
        engine = LocalEngine(loop, CARD, tried)
        with pytest.raises(RequestError, match=r"bad\.gguf gives numbers that are not") as caught:
            in_time(engine.load_adapter("one", Path("bad.gguf")))
        assert (caught.value.status, caught.value.code) == (400, "adapter_refused")
        assert backend.named("load_adapter") == []
        assert engine.card.adapters == ()


def test_an_adapter_is_loaded_from_the_copy_that_was_tried() -> None:
    order: list[str] = []

    @contextmanager
    def tried(path: Path) -> Iterator[Path]:
        order.append(f"tried {path}")
        yield Path("copy")
        order.append("deleted")

    with serving(CHAOS) as (loop, backend), pytest.MonkeyPatch.context() as patched:
        load = backend.load_adapter

        def spy(path: Path) -> int:
            order.append(f"loaded {path}")
            return load(path)

        patched.setattr(backend, "load_adapter", spy)
        engine = LocalEngine(loop, CARD, tried)
        in_time(engine.load_adapter("one", Path("file")))
        assert order == ["tried file", "loaded copy", "deleted"]
        assert engine.card == replace(CARD, adapters=("one",))
        events = in_time(events_of(engine, request("r", PROMPT, adapter="one")))
        assert {call.adapter for call in backend.named("decode")} == {1}
        assert len(steps_of(events)) == 5
        in_time(engine.unload_adapter("one"))
        assert engine.card.adapters == ()
        with pytest.raises(RequestError, match="no adapter 'one'") as caught:
            in_time(engine.unload_adapter("one"))
        assert caught.value.status == 404


def test_requests_are_served_during_the_trial_of_an_adapter() -> None:
    proceed = threading.Event()

    @contextmanager
    def tried(path: Path) -> Iterator[Path]:
        assert proceed.wait(PATIENCE)
        yield path

    async def serve(engine: LocalEngine) -> list[Event]:
        loading = asyncio.create_task(engine.load_adapter("one", Path("one")))
        await asyncio.sleep(0)
        events = await events_of(engine, request("r", PROMPT))
        assert not loading.done()
        proceed.set()
        await loading
        return events

    with serving(CHAOS) as (loop, _):
        engine = LocalEngine(loop, CARD, tried)
        assert len(in_time(serve(engine))) == 6
        assert engine.card.adapters == ("one",)


def test_a_closed_engine_rejects_changes_of_adapters() -> None:
    with serving(CHAOS) as (loop, _):
        engine = LocalEngine(loop, CARD)
        in_time(engine.load_adapter("one", Path("one")))
    for change in (engine.load_adapter("two", Path("two")), engine.unload_adapter("one")):
        with pytest.raises(RequestError) as caught:
            in_time(change)
        assert (caught.value.status, caught.value.code) == (503, "draining")


def test_closing_fails_running_requests_without_blocking_the_event_loop() -> None:
    async def close(engine: LocalEngine) -> str:
        async with engine.run(request("r", PROMPT, max_tokens=100)) as events:
            await asyncio.to_thread(pause.__enter__)
            closing = asyncio.create_task(engine.aclose())
            await asyncio.sleep(0.01)
            assert not closing.done()
            pause.__exit__()
            with pytest.raises(EngineError) as failure:
                async for _ in events:
                    pass
            await closing
        return failure.value.message

    with serving(CHAOS, slots=1) as (loop, backend):
        pause = Pause(backend, "decode", 3)
        assert in_time(close(LocalEngine(loop, CARD))) == "the endpoint is shutting down"
        assert not loop.is_alive
