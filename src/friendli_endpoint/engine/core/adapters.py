"""Registry of the loaded adapters."""

from dataclasses import dataclass

from friendli_endpoint.generation import unknown_adapter

__all__ = ["Adapter", "Adapters", "digest_of", "handle_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """Loaded adapter; equal only to itself.

    Attributes:
        route: Name by which requests select the adapter.
        handle: Value that `Backend.load_adapter` returned.
        digest: Digest of the content of its file; empty if there is no prefix cache on disk.
    """

    route: str
    handle: int
    digest: bytes = b""


def handle_of(adapter: object) -> int | None:
    """Returns the backend's handle of an adapter, or None for the base model."""
    return adapter.handle if isinstance(adapter, Adapter) else None


def digest_of(adapter: object) -> bytes:
    """Returns the digest of an adapter, which is empty for the base model."""
    return adapter.digest if isinstance(adapter, Adapter) else b""


class Adapters:
    """Loaded adapters by route."""

    def __init__(self) -> None:
        self._by_route: dict[str, Adapter] = {}

    @property
    def routes(self) -> tuple[str, ...]:
        """Routes of the loaded adapters."""
        return tuple(self._by_route)

    def find(self, route: str | None) -> Adapter | None:
        """Returns the adapter of a route, or None for the base model.

        Args:
            route: The route, or None for the base model.

        Raises:
            RequestError: 404: no adapter has this route.
        """
        if route is None:
            return None
        try:
            return self._by_route[route]
        except KeyError:
            raise unknown_adapter(route, self.routes) from None

    def add(self, adapter: Adapter) -> Adapter | None:
        """Adds an adapter; returns the adapter that it replaces, if any."""
        replaced = self._by_route.get(adapter.route)
        self._by_route[adapter.route] = adapter
        return replaced

    def remove(self, route: str) -> Adapter:
        """Removes and returns an adapter; new requests cannot select it.

        Raises:
            RequestError: 404: no adapter has this route.
        """
        try:
            return self._by_route.pop(route)
        except KeyError:
            raise unknown_adapter(route, self.routes) from None
