r"""Look-ahead as intersections and complements of regular languages.

A look-ahead at the beginning of a pattern is one more pattern that the whole text must, or must
not, match. The complement, and look-ahead elsewhere, need an automaton. A state of it is a set of
alternatives; each has the sequences of nodes that all must match the rest of the text, and those
that must not. A character class leads to the partial derivatives of the sequences.
"""

from collections.abc import Iterable, Iterator

from friendli_endpoint.chat.structured.regex.automaton import Automaton
from friendli_endpoint.chat.structured.regex.derivatives import ANYTHING, Derivatives, Sequence
from friendli_endpoint.chat.structured.regex.nodes import (
    Anchor,
    CharSet,
    Group,
    Look,
    Node,
    PatternError,
    Repeat,
    size_of,
)
from friendli_endpoint.chat.structured.regex.ranges import Alphabet, parse_ranges

__all__ = [
    "automaton_of",
    "excluded_expression",
    "has_look",
    "leading_looks",
    "required_expression",
]

_MAX_SIZE = 2_000
_MAX_STATES = 500
_MAX_LOOKS = 12
"""Look-aheads at the beginning: the compiler's work may double with each."""


def has_look(node: Node) -> bool:
    """Whether a node contains a look-ahead."""
    if isinstance(node, Group):
        return any(has_look(child) for option in node.options for child in option)
    return isinstance(node, Look) or (isinstance(node, Repeat) and has_look(node.node))


def leading_looks(root: Group, *, closed: bool) -> tuple[list[Look], Group] | None:
    """Splits a pattern into look-aheads at its beginning and the rest.

    Args:
        root: The root of the pattern.
        closed: Whether it must match from the beginning of the text, even without `^`.

    Returns:
        The look-aheads and the rest, which contain no others; None if the pattern is not of this
        form.

    Raises:
        PatternError: There are too many.
    """
    looks: list[Look] = []
    nodes: Sequence = (root,)
    while nodes:
        match nodes[0]:
            case Group((option,)):
                nodes = (*option, *nodes[1:])
            case Look() as look:
                looks.append(look)
                nodes = nodes[1:]
            case Anchor("^"):
                closed = True
                nodes = nodes[1:]
            case _:
                break
    rest = Group(((Anchor("^"), *nodes),))
    nested = any(has_look(look.node) for look in looks)
    if not closed or nested or has_look(rest):
        return None
    if len(looks) > _MAX_LOOKS:
        raise PatternError(f"it has more than {_MAX_LOOKS} look-aheads at its beginning")
    return looks, rest


def excluded_expression(body: Group) -> str:
    """Returns an expression of the texts of which no beginning matches a pattern.

    Raises:
        PatternError: It would be too long, or the automaton too large.
    """
    return _determinized((body, ANYTHING)).complement().expression()


def required_expression(body: Group) -> str:
    """Returns an expression of the texts of which a beginning matches a pattern.

    It reads each text in one way: `[^a]*a(?s:.)*` instead of `.*a(?s:.*)`. Under several
    look-aheads, the compiler would follow all combinations of the ways.

    Raises:
        PatternError: It would be too long, or the automaton too large.
    """
    return _determinized((body, ANYTHING)).expression()


def automaton_of(root: Group, left: str, right: str) -> Automaton:
    """Returns the automaton of the texts that a pattern with look-ahead matches.

    Args:
        root: The root of the pattern.
        left: Context on its left: the beginning of the text (`closed`), or any text (`open`).
        right: Context on its right, likewise.

    Raises:
        PatternError: The automaton would be too large.
    """
    before = (ANYTHING,) if left == "open" else ()
    after = (ANYTHING,) if right == "open" else ()
    return _determinized((*before, root, *after))


def _determinized(sequence: Sequence) -> Automaton:
    if sum(map(size_of, sequence)) > _MAX_SIZE:
        raise PatternError(
            f"its look-ahead is too complex: its repetitions expand to more than {_MAX_SIZE:,} "
            "characters"
        )
    try:
        return _explored(sequence)
    except RecursionError as error:
        raise PatternError("its look-ahead is too complex: too much of it is optional") from error


def _explored(sequence: Sequence) -> Automaton:
    alphabet = Alphabet(parse_ranges(node.source) for node in _char_sets(sequence))
    steps = Derivatives(alphabet)
    start = (frozenset({(frozenset({sequence}), frozenset[Sequence]())}), True)
    numbers = {start: 0}
    pending = [start]
    transitions: list[list[int]] = []
    accepting: set[int] = set()
    while pending:
        state = pending.pop(0)
        if steps.may_end(*state):
            accepting.add(numbers[state])
        row = []
        for index in range(len(alphabet.classes)):
            following = (steps.after(*state, index), False)
            if following not in numbers:
                numbers[following] = len(numbers)
                pending.append(following)
                if len(numbers) > _MAX_STATES:
                    raise PatternError(
                        "its look-ahead is too complex: the automaton has more than "
                        f"{_MAX_STATES} states"
                    )
            row.append(numbers[following])
        transitions.append(row)
    return Automaton(alphabet, transitions, frozenset(accepting))


def _char_sets(nodes: Iterable[Node]) -> Iterator[CharSet]:
    for node in nodes:
        match node:
            case CharSet():
                yield node
            case Group():
                for option in node.options:
                    yield from _char_sets(option)
            case Repeat() | Look():
                yield from _char_sets((node.node,))
