"""Adapters of one engine that several endpoints share."""

import asyncio
import contextlib
from collections.abc import Hashable
from pathlib import Path

from friendli_endpoint.generation import Engine, RequestError

__all__ = ["SharedAdapters"]


class SharedAdapters:
    """Adapters of an engine; one is removed when no endpoint holds it any longer.

    A name always means the same file, so an adapter that is there is not loaded again. Every
    endpoint holds the adapters that the engine itself has loaded, until it removes them.

    Args:
        engine: The engine, which has loaded the declared adapters.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._declared = frozenset(engine.card.adapters)
        self._holders: dict[str, set[Hashable]] = {name: set() for name in self._declared}
        self._loading = asyncio.Lock()

    def join(self, holder: Hashable) -> None:
        """Lets an endpoint hold the declared adapters that are left."""
        for name in self._declared & self._holders.keys():
            self._holders[name].add(holder)

    async def load(self, holder: Hashable, name: str, path: Path) -> None:
        """Loads an adapter unless it is there, and lets an endpoint hold it.

        Raises:
            RequestError: The file is not an adapter for this model, or the engine is closing.
        """
        async with self._loading:
            if name not in self._holders:
                await self._engine.load_adapter(name, path)
                self._holders[name] = set()
            self._holders[name].add(holder)

    async def unload(self, holder: Hashable, name: str) -> None:
        """Lets an endpoint hold an adapter no longer, and removes it if no other one does.

        Raises:
            RequestError: The adapter does not exist, or the engine is closing.
        """
        async with self._loading:
            holders = self._holders.get(name, set())
            holders.discard(holder)
            if not holders:
                self._holders.pop(name, None)
                await self._engine.unload_adapter(name)

    async def leave(self, holder: Hashable) -> None:
        """Lets an endpoint that is lost hold nothing; declared adapters stay."""
        for name, holders in tuple(self._holders.items()):
            if holder in holders:
                holders.discard(holder)
                if name not in self._declared:
                    with contextlib.suppress(RequestError):
                        await self.unload(holder, name)
