"""Tool calls: one module per family of models, and the table by which a family is found."""

from friendli_endpoint.chat.tools.family import (
    CallArguments,
    CallBegin,
    CallEnd,
    CallParser,
    Event,
    Family,
    Marker,
    Text,
    ToolSpec,
)
from friendli_endpoint.chat.tools.hermes import Hermes

__all__ = [
    "FAMILIES",
    "CallArguments",
    "CallBegin",
    "CallEnd",
    "CallParser",
    "Event",
    "Family",
    "Marker",
    "Text",
    "ToolSpec",
    "family_named",
    "family_of",
]

_DEFAULT = Hermes()

FAMILIES: tuple[Family, ...] = (_DEFAULT,)
"""All families; the first that recognises a template is the template's."""


def family_of(template: str) -> Family:
    """The family that a chat template writes calls for; Hermes where it does not say."""
    return next((family for family in FAMILIES if family.recognises(template)), _DEFAULT)


def family_named(name: str) -> Family:
    """The family of a name.

    Raises:
        KeyError: There is no such family; its message names those there are.
    """
    for family in FAMILIES:
        if family.name == name:
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise KeyError(f"there is no tool-call family {name!r}; there are {known}")
