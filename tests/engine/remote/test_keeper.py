"""One engine is kept running, whatever ends its process."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.engine.remote import keeper as keeper_module
from friendli_endpoint.engine.remote import process
from friendli_endpoint.engine.remote.child import ChildSetup
from friendli_endpoint.engine.remote.keeper import EngineKeeper
from friendli_endpoint.engine.remote.messages import EventBatch, FromEngine, Submit
from friendli_endpoint.engine.remote.suspects import Death
from friendli_endpoint.generation import GenerationRequest, ModelCard, StartError
from tests.engine.remote.looping import in_event_loop
from tests.engine.remote.scripted_child import CRASH, GATE, HANG, STOP, request
from tests.support.scripted import PATIENCE

MakeSetup = Callable[..., ChildSetup]


class Watched:
    """A keeper that records what its engine does."""

    def __init__(self, setup: ChildSetup, max_stalled: float = PATIENCE) -> None:
        self.cards: list[ModelCard] = []
        self.messages: list[FromEngine] = []
        self.deaths: list[Death] = []
        self.changed = asyncio.Event()
        self.keeper = EngineKeeper(
            1,
            setup,
            max_stalled,
            on_open=self._open,
            on_messages=self._receive,
            on_death=self._die,
        )

    def _open(self, card: ModelCard) -> None:
        self.cards.append(card)
        self.changed.set()

    def _receive(self, messages: Sequence[FromEngine]) -> None:
        self.messages += messages
        self.changed.set()

    def _die(self, death: Death) -> None:
        self.deaths.append(death)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until a condition is true."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def tokens(self, number: int) -> list[int | None]:
        """Returns the tokens of a request's first choice."""
        batches = [m for m in self.messages if isinstance(m, EventBatch) and m.number == number]
        events = [event for batch in batches for event in batch.events]
        return [step.token_id for event in events for step in getattr(event, "steps", ())]

    async def run(self, number: int, sent: GenerationRequest) -> list[int | None]:
        """Returns the tokens of a request."""
        self.keeper.send(Submit(number, sent))
        await self.until(lambda: len(self.tokens(number)) == sent.max_tokens)
        return self.tokens(number)


@asynccontextmanager
async def kept(setup: ChildSetup, max_stalled: float = PATIENCE) -> AsyncIterator[Watched]:
    watched = Watched(setup, max_stalled)
    try:
        await watched.keeper.open()
        yield watched
    finally:
        await watched.keeper.aclose()
    assert watched.keeper.pid is None


def pids_of(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("pid-")) for path in folder.glob("pid-*")]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@in_event_loop
async def test_an_engine_opens_and_serves_and_its_process_ends_at_the_end(
    setup_of: MakeSetup, tmp_path: Path
) -> None:
    async with kept(setup_of()) as watched:
        assert watched.keeper.is_open and watched.cards[0].name == "scripted"
        assert len(await watched.run(1, request("a"))) == 6
    assert watched.deaths == []
    assert not any(map(is_running, pids_of(tmp_path)))


@in_event_loop
async def test_an_engine_is_closed_before_its_process_ends(
    setup_of: MakeSetup, tmp_path: Path
) -> None:
    async with kept(setup_of()) as watched:
        pid = watched.keeper.pid
    assert [path.name for path in tmp_path.glob("closed-*")] == [f"closed-{pid}"]


@in_event_loop
async def test_a_process_whose_engine_takes_long_to_close_is_ended(
    setup_of: MakeSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "CLOSE_SECONDS", 0.1)
    async with kept(setup_of()) as watched:
        watched.keeper.send(Submit(1, request("a", GATE)))
        await watched.until(lambda: bool(watched.tokens(1)))
    assert list(tmp_path.glob("closed-*")) == []
    assert not any(map(is_running, pids_of(tmp_path)))


@pytest.mark.parametrize(
    ("number", "cause"),
    [(signal.SIGKILL, "outside"), (signal.SIGSEGV, "crash"), (signal.SIGABRT, "crash")],
)
@in_event_loop
async def test_an_engine_that_ends_is_opened_again_and_gives_the_same_tokens(
    setup_of: MakeSetup, number: signal.Signals, cause: Any
) -> None:
    async with kept(setup_of()) as watched:
        before = await watched.run(1, request("a"))
        for times in (1, 2):  # twice in a row
            pid = watched.keeper.pid
            assert pid is not None
            os.kill(pid, number)
            await watched.until(lambda times=times: len(watched.cards) == 1 + times)  # type: ignore[misc]
            assert watched.keeper.pid != pid
        assert watched.deaths == [Death(cause, f"signal {number.name}")] * 2
        assert await watched.run(2, request("a")) == before


@in_event_loop
async def test_a_crash_of_the_engine_counts_as_its_own(setup_of: MakeSetup) -> None:
    async with kept(setup_of()) as watched:
        watched.keeper.send(Submit(1, request("a", CRASH)))
        await watched.until(lambda: len(watched.cards) == 2)
        assert watched.deaths == [Death("crash", "signal SIGSEGV")]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(HANG, "no step for more than 1 s"), (STOP, "no sign of life for more than 1 s")],
)
@in_event_loop
async def test_an_engine_that_hangs_is_killed_and_opened_again(
    setup_of: MakeSetup, fault: int, reason: str
) -> None:
    async with kept(setup_of(), max_stalled=1) as watched:
        watched.keeper.send(Submit(1, request("a", fault)))
        await watched.until(lambda: len(watched.cards) == 2)
        assert watched.deaths == [Death("hang", reason)]


@in_event_loop
async def test_sigint_and_sigterm_do_not_end_an_engine(setup_of: MakeSetup) -> None:
    async with kept(setup_of()) as watched:
        pid = watched.keeper.pid
        assert pid is not None
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        assert len(await watched.run(1, request("a"))) == 6
        assert watched.keeper.pid == pid


@in_event_loop
async def test_a_process_that_is_killed_during_its_start_is_started_again(
    setup_of: MakeSetup, tmp_path: Path
) -> None:
    async with kept(setup_of(dies=2)) as watched:
        assert len(pids_of(tmp_path)) == 3
        assert watched.keeper.is_open and watched.deaths == []


@in_event_loop
async def test_three_failed_starts_are_a_start_error(setup_of: MakeSetup, tmp_path: Path) -> None:
    with pytest.raises(
        StartError, match="the engine's process ends while it starts: signal SIGKILL"
    ):
        async with kept(setup_of(dies=3)):
            raise AssertionError
    assert len(pids_of(tmp_path)) == keeper_module.MAX_STARTS


@in_event_loop
async def test_the_reason_why_an_engine_cannot_be_opened_is_reported_at_once(
    setup_of: MakeSetup, tmp_path: Path
) -> None:
    with pytest.raises(StartError, match=r"^there is no model$"):
        async with kept(setup_of(refusal="there is no model")):
            raise AssertionError
    assert len(pids_of(tmp_path)) == 1


@in_event_loop
async def test_a_killed_process_leaves_no_temporary_files(
    setup_of: MakeSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    async with kept(setup_of()) as watched:
        (own,) = folder.iterdir()
        (own / "left").touch()
        pid = watched.keeper.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await watched.until(lambda: len(watched.cards) == 2)
        assert not own.exists()
    assert list(folder.iterdir()) == []
