"""Adapters of a fleet: every engine has all of them, and a route changes for all at once.

An engine knows an adapter by a name that is never used again, so a route is replaced by loading the
new adapter on every engine, and then choosing its name for new requests. The old one stays until
its last request has ended, on engines that are opened meanwhile, too: its requests may be replayed.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from friendli_endpoint.engine.remote.member import LostError, Member
from friendli_endpoint.generation import RequestError, unknown_adapter

__all__ = ["FleetAdapter", "FleetAdapters"]

log = logging.getLogger("friendli_endpoint.engine")


@dataclass(slots=True, eq=False)
class FleetAdapter:
    """An adapter on every engine of a fleet.

    Attributes:
        name: Its name in the engines.
        path: Its file; None if every engine loads it when it is opened.
        users: Number of requests that use it.
        is_retired: Whether new requests cannot select it any longer.
    """

    name: str
    path: str | None
    users: int = 0
    is_retired: bool = False


class FleetAdapters:
    """Adapters of a fleet; used on one event loop.

    Args:
        members: The engines; a view that may change.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._by_route: dict[str, FleetAdapter] = {}
        self._by_name: dict[str, FleetAdapter] = {}
        self._changing = asyncio.Lock()

    @property
    def routes(self) -> tuple[str, ...]:
        """Routes of the loaded adapters."""
        return tuple(self._by_route)

    def declare(self, routes: Sequence[str]) -> None:
        """Adds the adapters that every engine loads when it is opened."""
        for route in routes:
            self._by_route[route] = self._by_name[route] = FleetAdapter(route, None)

    def take(self, route: str) -> FleetAdapter:
        """Returns the adapter of a route for one more request.

        Raises:
            RequestError: 404: the adapter does not exist.
        """
        adapter = self._by_route.get(route)
        if adapter is None:
            raise unknown_adapter(route, self.routes)
        adapter.users += 1
        return adapter

    def leave(self, adapter: FleetAdapter) -> None:
        """Counts one request less that uses an adapter."""
        adapter.users -= 1
        self._drop_unused(adapter)

    async def load(self, route: str, path: Path) -> None:
        """Loads an adapter on every engine; it replaces the adapter of the same route.

        Raises:
            RequestError: The file is not an adapter for this model, or no engine could load it.
        """
        async with self._changing:
            adapter = FleetAdapter(f"{route}#{secrets.token_hex(8)}", str(path))
            self._by_name[adapter.name] = adapter
            try:
                await self._load_everywhere(adapter)
            except BaseException:
                adapter.is_retired = True
                self._drop_unused(adapter)
                raise
            replaced = self._by_route.pop(route, None)
            self._by_route[route] = adapter
            self._retire(replaced)

    def unload(self, route: str) -> None:
        """Removes an adapter; requests that use it run to their end.

        Raises:
            RequestError: 404: the adapter does not exist.
        """
        adapter = self._by_route.pop(route, None)
        if adapter is None:
            raise unknown_adapter(route, self.routes)
        self._retire(adapter)

    def is_complete(self, member: Member) -> bool:
        """Whether an engine has exactly the adapters that it should have."""
        return member.adapters == self._by_name.keys()

    async def complete(self, member: Member) -> None:
        """Loads what an engine that was opened again lacks, and removes what is not used.

        An adapter that cannot be loaded again, because its file is gone, is left out.

        Raises:
            LostError: The engine was lost again.
        """
        for name in member.adapters - self._by_name.keys():
            member.unload_adapter(name)
        refused: set[str] = set()
        while missing := self._by_name.keys() - member.adapters - refused:
            adapter = self._by_name[missing.pop()]
            try:
                await member.load_adapter(adapter.name, adapter.path or "")
            except RequestError as error:
                log.error("an engine lacks the adapter %s: %s", adapter.name, error.message)
                refused.add(adapter.name)

    async def _load_everywhere(self, adapter: FleetAdapter) -> None:
        """Loads an adapter on all engines that are ready; the others do it when they are opened."""
        ready = [member for member in self._members if member.is_ready]
        loading = (member.load_adapter(adapter.name, adapter.path or "") for member in ready)
        results = await asyncio.gather(*loading, return_exceptions=True)
        faults = [result for result in results if isinstance(result, BaseException)]
        for fault in faults:
            if not isinstance(fault, LostError):
                raise fault
        if len(faults) == len(ready):
            message = "no engine could load the adapter, as they are being started again"
            raise RequestError(message, status=503, code="engine_starting", retry_after=1)

    def _retire(self, adapter: FleetAdapter | None) -> None:
        if adapter is not None:
            adapter.is_retired = True
            self._drop_unused(adapter)

    def _drop_unused(self, adapter: FleetAdapter) -> None:
        if adapter.is_retired and not adapter.users and adapter.name in self._by_name:
            del self._by_name[adapter.name]
            for member in self._members:
                member.unload_adapter(adapter.name)
