"""What a regular expression is made of."""

from dataclasses import dataclass

__all__ = ["Anchor", "Group", "Node", "PatternError", "Repeat", "Text", "size_of"]


class PatternError(Exception):
    """A regular expression that is broken, or cannot be enforced; the message says why."""


@dataclass(frozen=True, slots=True)
class Text:
    """Matches one character; written as the compiler reads it."""

    written: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """`^` or `$`."""

    sign: str


@dataclass(frozen=True, slots=True)
class Group:
    """One of several sequences."""

    options: "tuple[tuple[Node, ...], ...]"


@dataclass(frozen=True, slots=True)
class Repeat:
    """A node, so many times; `most` None is without end."""

    node: "Node"
    least: int
    most: int | None


Node = Text | Anchor | Group | Repeat


def size_of(node: Node) -> int:
    """Characters of a text that it tells apart: repetitions count as often as they can."""
    if isinstance(node, Group):
        return 1 + sum(size_of(each) for option in node.options for each in option)
    if isinstance(node, Repeat):
        return size_of(node.node) * max(node.least, node.most or 0, 1)
    return 1
