"""The adapters that requests may name, by route; those taken away live until nobody uses them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from friendli_endpoint.generation import Refusal

__all__ = ["Adapter", "Adapters", "handle_of", "unknown_adapter"]


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
    """What there is, and what is on its way out."""

    def __init__(self) -> None:
        self._present: dict[str, Adapter] = {}
        self._retired: list[Adapter] = []

    @property
    def routes(self) -> tuple[str, ...]:
        """What requests may name."""
        return tuple(self._present)

    def find(self, route: str | None) -> Adapter | None:
        """The adapter of a route; None for the model as it is.

        Raises:
            Refusal: 404: there is none.
        """
        if route is None:
            return None
        try:
            return self._present[route]
        except KeyError:
            raise unknown_adapter(route, self.routes) from None

    def add(self, adapter: Adapter) -> None:
        """Takes one in; one with the same route is retired."""
        if adapter.route in self._present:
            self.retire(adapter.route)
        self._present[adapter.route] = adapter

    def retire(self, route: str) -> None:
        """No new request may name it.

        Raises:
            Refusal: 404: there is none.
        """
        adapter = self.find(route)
        assert adapter is not None
        del self._present[route]
        self._retired.append(adapter)

    def unused(self, used: Collection[object]) -> Iterable[Adapter]:
        """Those retired that nobody uses; forgotten with this."""
        unused = [adapter for adapter in self._retired if adapter not in used]
        self._retired = [adapter for adapter in self._retired if adapter in used]
        return unused


def unknown_adapter(route: str, routes: Collection[str]) -> Refusal:
    """The refusal of a route that there is not."""
    there_are = "there are: " + ", ".join(sorted(routes)) if routes else "there are none"
    return Refusal(
        f"there is no adapter {route!r}; {there_are}",
        param="model",
        status=404,
        code="adapter_not_found",
    )
