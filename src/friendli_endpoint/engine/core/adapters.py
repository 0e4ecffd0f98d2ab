"""The adapters that requests may name, by route."""

from dataclasses import dataclass

from friendli_endpoint.generation import unknown_adapter

__all__ = ["Adapter", "Adapters", "handle_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """Changes to the weights; equal only to itself.

    Attributes:
        route: What requests call it.
        handle: What the backend calls it.
    """

    route: str
    handle: int


def handle_of(adapter: object) -> int | None:
    """What the backend calls an adapter; None for the model as it is."""
    return adapter.handle if isinstance(adapter, Adapter) else None


class Adapters:
    """Adapters by route."""

    def __init__(self) -> None:
        self._by_route: dict[str, Adapter] = {}

    @property
    def routes(self) -> tuple[str, ...]:
        """Routes that requests may name."""
        return tuple(self._by_route)

    def find(self, route: str | None) -> Adapter | None:
        """The adapter of a route; None for the model as it is.

        Raises:
            RequestError: 404: there is none.
        """
        if route is None:
            return None
        try:
            return self._by_route[route]
        except KeyError:
            raise unknown_adapter(route, self.routes) from None

    def add(self, adapter: Adapter) -> Adapter | None:
        """Adds an adapter; returns the one that had its route before."""
        replaced = self._by_route.get(adapter.route)
        self._by_route[adapter.route] = adapter
        return replaced

    def remove(self, route: str) -> Adapter:
        """Removes and returns an adapter: no new request may name it.

        Raises:
            RequestError: 404: there is none.
        """
        try:
            return self._by_route.pop(route)
        except KeyError:
            raise unknown_adapter(route, self.routes) from None
