"""Numbers of slots, as the engine's types want them."""

from collections.abc import Iterable

from friendli_endpoint.engine.core.backend import SlotId


def slot_ids(numbers: Iterable[int]) -> list[SlotId]:
    """The ids of these slots."""
    return [SlotId(number) for number in numbers]
