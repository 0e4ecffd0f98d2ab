"""Syntax tree of a regular expression."""

import re
from dataclasses import dataclass

__all__ = [
    "Anchor",
    "CharSet",
    "Group",
    "Look",
    "Node",
    "PatternError",
    "Repeat",
    "fixed_length",
    "size_of",
]

_ESCAPED = re.compile(r"\\x\{([0-9a-f]+)\}")
"""A single character as `escape_character` renders it."""


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


@dataclass(frozen=True, slots=True)
class Look:
    """A look-ahead: the text that follows must begin with a match, or must not."""

    node: Group
    negative: bool


Node = CharSet | Anchor | Group | Repeat | Look


def size_of(node: Node) -> int:
    """Returns the number of nodes after repetitions are expanded to their maximum.

    An unbounded repetition counts as its minimum.
    """
    if isinstance(node, Group):
        return 1 + sum(size_of(child) for option in node.options for child in option)
    if isinstance(node, Repeat):
        return size_of(node.node) * max(node.min_count, node.max_count or 0, 1)
    return 1 + size_of(node.node) if isinstance(node, Look) else 1


def fixed_length(node: Node) -> int:
    """Returns the number of bytes of the longest text that a node leaves no choice about."""
    return _fixed(node)[0]


def _fixed(node: Node) -> tuple[int, bool]:
    """Returns the length of the longest text without a choice, and whether that is all of it."""
    if isinstance(node, Group):
        options = [_fixed_sequence(option) for option in node.options]
        return max(length for length, _ in options), len(options) == 1 and options[0][1]
    if isinstance(node, Repeat):
        length, is_whole = _fixed(node.node)
        count = node.min_count if is_whole else min(2, node.max_count or 2)
        return length * max(1, count), is_whole and node.min_count == node.max_count
    if isinstance(node, Look):
        return 0 if node.negative else _fixed(node.node)[0], False
    return (0, True) if isinstance(node, Anchor) else _fixed_character(node)


def _fixed_sequence(nodes: tuple[Node, ...]) -> tuple[int, bool]:
    max_length = current = 0
    all_whole = True
    for length, is_whole in map(_fixed, nodes):
        max_length = max(max_length, current + length)
        current = current + length if is_whole else length
        all_whole = all_whole and is_whole
    return max(max_length, current), all_whole


def _fixed_character(node: CharSet) -> tuple[int, bool]:
    if len(node.source) == 1:
        return len(node.source.encode()), True
    escaped = _ESCAPED.fullmatch(node.source)
    return (len(chr(int(escaped[1], 16)).encode()), True) if escaped else (0, False)
