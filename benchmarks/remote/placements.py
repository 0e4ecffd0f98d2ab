"""Placements of the engines of a measured endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from friendli_endpoint.settings import Settings

__all__ = ["PLACEMENTS", "Placement", "available"]


@dataclass(frozen=True, slots=True)
class Placement:
    """A placement of engines.

    Attributes:
        name: Its name in tables.
        settings: Settings of the endpoint that select it.
        module: Module that it needs, or None.
    """

    name: str
    settings: Mapping[str, str | int]
    module: str | None = None

    @property
    def flags(self) -> list[str]:
        """Flags of `serve` for these settings."""
        return [word for name, value in self.settings.items() for word in (f"--{name}", str(value))]


PLACEMENTS = (
    Placement("in process", {"engines": 0}),
    Placement("1 child process", {"engines": 1}),
    Placement("2 child processes", {"engines": 2}),
    Placement("Ray, 1 engine", {"ray": "local", "engines": 1}, "ray"),
    Placement("Ray, 2 engines", {"ray": "local", "engines": 2}, "ray"),
)
"""All placements; the others are compared with the first."""


def available() -> list[Placement]:
    """Returns the placements whose settings and modules this installation has."""
    return [
        placement
        for placement in PLACEMENTS
        if placement.settings.keys() <= Settings.model_fields.keys()
        and (placement.module is None or find_spec(placement.module) is not None)
    ]
