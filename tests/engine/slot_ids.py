"""Conversion of numbers to slot ids, for the type checker."""

from collections.abc import Iterable

from friendli_endpoint.engine.core.backend import SlotId


def slot_ids(numbers: Iterable[int]) -> list[SlotId]:
    """Returns the slot ids of these numbers."""
    return [SlotId(number) for number in numbers]
