"""Syntax tree of a regular expression."""

from dataclasses import dataclass

__all__ = ["Anchor", "CharSet", "Group", "Node", "PatternError", "Repeat", "size_of"]


class PatternError(Exception):
    """A regular expression that is invalid or cannot be enforced; the message says why."""


@dataclass(frozen=True, slots=True)
class CharSet:
    """A single character or class of characters; `source` is in the compiler's syntax."""

    source: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """`^` or `$`."""

    sign: str


@dataclass(frozen=True, slots=True)
class Group:
    """Alternatives, each of which is a sequence of nodes."""

    options: "tuple[tuple[Node, ...], ...]"


@dataclass(frozen=True, slots=True)
class Repeat:
    """A repeated node; a `max_count` of None is unbounded."""

    node: "Node"
    min_count: int
    max_count: int | None


Node = CharSet | Anchor | Group | Repeat


def size_of(node: Node) -> int:
    """Returns the number of nodes after repetitions are expanded to their maximum.

    An unbounded repetition counts as its minimum.
    """
    if isinstance(node, Group):
        return 1 + sum(size_of(child) for option in node.options for child in option)
    if isinstance(node, Repeat):
        return size_of(node.node) * max(node.min_count, node.max_count or 0, 1)
    return 1
