from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, settings

from friendli import AsyncFriendli, SyncFriendli

from .wire import MESSAGES, Serve, Server

# A busy machine may be slow.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FRIENDLI_TOKEN", "FRIENDLI_BASE_URL", "FRIENDLI_LOG", "FRIENDLI_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers with the given answers, and stop them after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *answers: stack.enter_context(Server(list(answers)).running())


class Sync:
    """Runs calls through SyncFriendli."""

    name = "sync"

    def call(self, url: str, method: str = "complete", /, **arguments: Any) -> Any:
        options = arguments.pop("client_options", {})
        token = arguments.pop("token", "t")
        arguments = {"model": "e", "messages": MESSAGES, **arguments}
        with SyncFriendli(token, server_url=url, **options) as client:
            return getattr(client.dedicated.chat, method)(**arguments)

    def events(self, url: str, take: int | None = None, /, **arguments: Any) -> Outcome:
        options = arguments.pop("client_options", {})
        token = arguments.pop("token", "t")
        arguments = {"model": "e", "messages": MESSAGES, **arguments}
        outcome = Outcome()
        with SyncFriendli(token, server_url=url, **options) as client:
            try:
                with client.dedicated.chat.stream(**arguments) as stream:
                    for event in stream:
                        outcome.events.append(event)
                        if len(outcome.events) == take:
                            break
                if take is None:
                    outcome.final = stream.get_final_completion()
            except Exception as error:
                outcome.error = error
        return outcome


class Async:
    """Runs calls through AsyncFriendli, under asyncio."""

    name = "async"

    def run(self, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return asyncio.run(main())

    def call(self, url: str, method: str = "complete", /, **arguments: Any) -> Any:
        options = arguments.pop("client_options", {})
        token = arguments.pop("token", "t")
        arguments = {"model": "e", "messages": MESSAGES, **arguments}

        async def main() -> Any:
            async with AsyncFriendli(token, server_url=url, **options) as client:
                return await getattr(client.dedicated.chat, method)(**arguments)

        return self.run(main)

    def events(self, url: str, take: int | None = None, /, **arguments: Any) -> Outcome:
        options = arguments.pop("client_options", {})
        token = arguments.pop("token", "t")
        arguments = {"model": "e", "messages": MESSAGES, **arguments}
        outcome = Outcome()

        async def main() -> None:
            async with AsyncFriendli(token, server_url=url, **options) as client:
                try:
                    stream = await client.dedicated.chat.stream(**arguments)
                    async with stream:
                        async for event in stream:
                            outcome.events.append(event)
                            if len(outcome.events) == take:
                                break
                    if take is None:
                        outcome.final = await stream.get_final_completion()
                except Exception as error:
                    outcome.error = error

        self.run(main)
        return outcome


class Trio(Async):
    """Runs calls through AsyncFriendli, under trio."""

    name = "trio"

    def run(self, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return trio.run(main)


class Outcome:
    """Events, error and final completion of a stream."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.error: Exception | None = None
        self.final: Any = None

    @property
    def texts(self) -> list[str]:
        """Content deltas that are not empty."""
        choices = [choice for event in self.events for choice in event.data.choices]
        return [choice.delta.content for choice in choices if choice.delta.content]


Caller = Sync | Async
"""Type of the fixture that runs calls through either client."""


@pytest.fixture(params=[Sync(), Async(), Trio()], ids=lambda caller: caller.name)
def caller(request: pytest.FixtureRequest) -> Caller:
    """Runs calls through the sync and the async client, with one interface."""
    chosen: Caller = request.param
    return chosen


def ask(client: SyncFriendli, **arguments: Any) -> Any:
    return client.dedicated.chat.complete(model="e", messages=MESSAGES, **arguments)
