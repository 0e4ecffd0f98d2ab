"""The engines of a Ray Serve deployment, as endpoints find them and learn how they ended."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from friendli_endpoint.engine.remote.member import Member, Observer
from friendli_endpoint.engine.remote.ray.link import EngineLink
from friendli_endpoint.engine.remote.ray.replica import ReplicaState
from friendli_endpoint.engine.remote.suspects import Death
from friendli_endpoint.generation import ModelCard, reason_of

__all__ = ["Ask", "Discovery"]

log = logging.getLogger("friendli_endpoint.engine")

ASK_INTERVAL = 1.0
"""Seconds after which the replicas are asked again."""

DEATH_INTERVAL = 0.1
"""Seconds after which a replica is asked again how its engine ended."""

DEATH_SECONDS = 5.0
"""Maximum time to learn how an engine ended; it counts as ended from outside then."""

NUM_MISSING = 3
"""Number of successive answers without a replica after which it counts as gone."""

SILENCE_SECONDS = 5.0
"""Seconds beyond those that an engine may hang, after which a silent connection is closed. Before
that, the replica ends an engine that hangs."""

Ask = Callable[[], Sequence[ReplicaState]]
"""Returns the states of the replicas that answer; blocks for at most some seconds, and may raise
any exception if none can be asked."""


class Discovery:
    """Finds engines and connects to them; used on one event loop.

    Each life of an engine is a member of the fleet, with a connection of its own.

    Args:
        ask: Asks the replicas; called on another thread.
        settings: Digest of the settings that the engines must have.
        max_stalled: Seconds for which an engine may hang.
    """

    def __init__(self, ask: Ask, settings: str, max_stalled: float) -> None:
        self._ask = ask
        self._settings = settings
        self._max_stalled = max_stalled
        self._observer: Observer | None = None
        self._card: ModelCard | None = None
        self._links: dict[tuple[str, int], EngineLink] = {}
        self._refused: set[tuple[str, int]] = set()
        self._num_links = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Lock()
        self._wake = asyncio.Event()
        self._has_closed = False
        self.members: list[Member] = []
        self.failure: str | None = None

    @property
    def card(self) -> ModelCard | None:
        """Card of the first engine that was open; None before."""
        return self._card

    @property
    def num_open(self) -> int:
        """Number of engines that are open."""
        return sum(member.is_open for member in self.members)

    def start(self, observer: Observer) -> None:
        """Begins to look for engines.

        Args:
            observer: Learns what the engines do.
        """
        self._observer = observer
        self._start(self._look())

    async def aclose(self) -> None:
        """Closes all connections, which cancels the requests on them."""
        self._has_closed = True
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in tuple(self._links.values()):
            link.close()
        for member in self.members:
            member.close()
        self.members.clear()

    async def look_once(self) -> None:
        """Asks the replicas, connects to new engines, and looks after the connections."""
        states = await self._states()
        for state in states:
            if state.settings != self._settings:
                self._fail("the engines of this application run with other settings")
            elif state.failure is not None:
                self._fail(state.failure)
            elif state.port is not None:
                self._find(state)
        for link in tuple(self._links.values()):
            self._look_after(link)

    async def _look(self) -> None:
        checked = asyncio.get_running_loop().time()
        while True:
            now = asyncio.get_running_loop().time()
            if now - checked > 2 * ASK_INTERVAL + SILENCE_SECONDS:
                for link in self._links.values():
                    link.heard_at = now  # this process was stopped itself
            checked = now
            await self.look_once()
            self._wake.clear()
            try:
                async with asyncio.timeout(ASK_INTERVAL):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _states(self) -> Sequence[ReplicaState]:
        """Returns the states of the replicas that answer; none if they cannot be asked."""
        async with self._asking:
            try:
                return await asyncio.to_thread(self._ask)
            except Exception as error:  # errors of replicas come as classes of Ray's own
                log.debug("the replicas cannot be asked: %s", reason_of(error))
                return ()

    def _find(self, state: ReplicaState) -> None:
        """Connects to an engine unless there is a connection."""
        key = state.replica, state.life
        if key in self._links or key in self._refused:
            return
        assert self._observer is not None
        self._num_links += 1
        member = Member(f"{state.replica}.{state.life}.{self._num_links}", self._observer)
        link = EngineLink(state, member, is_suitable=self._check, on_lost=self._lose)
        member.link = link
        self._links[key] = link
        self.members.append(member)
        self._start(self._connect(link))

    async def _connect(self, link: EngineLink) -> None:
        try:
            await link.connect()
        except (OSError, TimeoutError) as error:
            log.warning("an engine cannot be reached: %s", reason_of(error))
            self._remove(link)

    def _check(self, card: ModelCard) -> bool:
        if self._card is None:
            self._card = card
        ours, theirs = _identity(self._card), _identity(card)
        if ours != theirs:
            log.error("an engine is not used: it has %s, the others have %s", theirs, ours)
        return ours == theirs

    def _look_after(self, link: EngineLink) -> None:
        silent = asyncio.get_running_loop().time() - link.heard_at
        if link.member.is_leaving and link.member.load == 0:
            link.close()
        elif silent > self._max_stalled + SILENCE_SECONDS:
            log.error("an engine has sent nothing for %.0f s; its connection is closed", silent)
            link.close()

    def _lose(self, link: EngineLink, error: Exception | None) -> None:
        if self._has_closed:
            return
        member = link.member
        was_done, member.is_ready = member.is_leaving and member.load == 0, False
        if not member.is_open:
            if link.is_refused:
                self._refused.add(self._key(link))
            self._remove(link)
        elif was_done:
            self._bury(link, Death("planned", "it had finished its requests"))
        elif member.is_leaving:
            self._bury(link, Death("outside", "it was ended while it finished its requests"))
        else:
            self._start(self._learn_death(link, error))

    async def _learn_death(self, link: EngineLink, error: Exception | None) -> None:
        """Asks how an engine ended whose connection is lost."""
        death = await self._death_of(link)
        reason = f"its connection failed: {error}" if error is not None else "its connection ended"
        self._bury(link, death or Death("outside", reason))
        self._wake.set()

    async def _death_of(self, link: EngineLink) -> Death | None:
        """Returns how an engine ended; None if its replica is gone or does not know."""
        replica, life = self._key(link)
        deadline, missing = asyncio.get_running_loop().time() + DEATH_SECONDS, 0
        while missing < NUM_MISSING and asyncio.get_running_loop().time() < deadline:
            states = {state.replica: state for state in await self._states()}
            if replica in states:
                missing = 0
                deaths = dict(states[replica].deaths)
                if life in deaths:
                    return deaths[life]
            else:
                missing += 1
            await asyncio.sleep(DEATH_INTERVAL)
        return None

    def _bury(self, link: EngineLink, death: Death) -> None:
        if death.is_planned:
            log.info("an engine has left (%s)", death.reason)
        else:
            log.error("an engine ended (%s)", death.reason)
        self._remove(link)
        link.member.die(death)

    def _remove(self, link: EngineLink) -> None:
        del self._links[self._key(link)]
        self.members.remove(link.member)

    def _key(self, link: EngineLink) -> tuple[str, int]:
        return link.state.replica, link.state.life

    def _fail(self, failure: str) -> None:
        if failure != self.failure:
            self.failure = failure
            log.error("an engine is not used: %s", failure)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _identity(card: ModelCard) -> tuple[str, int, int, bool]:
    """Returns what is the same in all engines of a fleet."""
    return card.name, card.context, card.vocabulary_size, card.deterministic
