r"""Look-ahead as intersections and complements of regular languages.

A look-ahead at the beginning of a pattern is one more pattern that the whole text must, or must
not, match. The complement, and look-ahead elsewhere, need an automaton. A state of it is a set of
alternatives; each has the sequences of nodes that all must match the rest of the text, and those
that must not. A character class leads to the partial derivatives of the sequences.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from friendli_endpoint.chat.structured.regex.automaton import Automaton
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

__all__ = ["automaton_of", "excluded_expression", "has_look", "leading_looks"]

_MAX_SIZE = 2_000
_MAX_STATES = 500
_MAX_ALTERNATIVES = 200
_MAX_WORK = 50_000
"""Derivatives of sequences."""

_EVERYTHING = CharSet(r"[\x{0}-\x{10ffff}]")
_ANYTHING = Repeat(_EVERYTHING, 0, None)

_Sequence = tuple[Node, ...]
_Alternative = tuple[frozenset[_Sequence], frozenset[_Sequence]]
"""Sequences that must match the rest of the text, and sequences that must not."""
_TRUE: _Alternative = (frozenset(), frozenset())


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
    """
    looks: list[Look] = []
    nodes: _Sequence = (root,)
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
    return (looks, rest) if closed and not nested and not has_look(rest) else None


def excluded_expression(body: Group) -> str:
    """Returns an expression of the texts of which no beginning matches a pattern.

    Raises:
        PatternError: It would be too long, or the automaton too large.
    """
    return _determinized((body, _ANYTHING)).complement().expression()


def automaton_of(root: Group, left: str, right: str) -> Automaton:
    """Returns the automaton of the texts that a pattern with look-ahead matches.

    Args:
        root: The root of the pattern.
        left: Context on its left: the beginning of the text (`closed`), or any text (`open`).
        right: Context on its right, likewise.

    Raises:
        PatternError: The automaton would be too large.
    """
    before = (_ANYTHING,) if left == "open" else ()
    after = (_ANYTHING,) if right == "open" else ()
    return _determinized((*before, root, *after))


def _determinized(sequence: _Sequence) -> Automaton:
    if sum(map(size_of, sequence)) > _MAX_SIZE:
        raise PatternError(
            f"its look-ahead is too complex: its repetitions expand to more than {_MAX_SIZE:,} "
            "characters"
        )
    try:
        return _explored(sequence)
    except RecursionError as error:
        raise PatternError("its look-ahead is too complex: too much of it is optional") from error


def _explored(sequence: _Sequence) -> Automaton:
    alphabet = Alphabet(parse_ranges(node.source) for node in _char_sets(sequence))
    steps = _Steps(alphabet)
    start = (frozenset({(frozenset({sequence}), frozenset[_Sequence]())}), True)
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


@dataclass(slots=True)
class _Steps:
    """Derivatives of sequences by classes of characters."""

    alphabet: Alphabet
    _classes: dict[CharSet, frozenset[int]] = field(default_factory=dict)
    _known: dict[tuple[_Sequence, int, bool], frozenset[_Alternative]] = field(default_factory=dict)
    _active: dict[tuple[_Sequence, int, bool], int] = field(default_factory=dict)
    _lowest: int = 0
    _work: int = 0

    def may_end(self, alternatives: Iterable[_Alternative], at_start: bool) -> bool:
        """Whether the text may end in a state."""
        return any(
            all(_matches_end(sequence, at_start) for sequence in wanted)
            and not any(_matches_end(sequence, at_start) for sequence in unwanted)
            for wanted, unwanted in alternatives
        )

    def after(
        self, alternatives: Iterable[_Alternative], at_start: bool, index: int
    ) -> frozenset[_Alternative]:
        """Returns the alternatives after a character of a class."""
        out: set[_Alternative] = set()
        for wanted, unwanted in alternatives:
            excluded = self._none_of(unwanted, at_start, index)
            if excluded is not None:
                found = [self.step(sequence, index, at_start) for sequence in wanted]
                out |= _conjunction([{(frozenset(), excluded)}, *found])
        return _simplified(out)

    def step(self, sequence: _Sequence, index: int, at_start: bool) -> frozenset[_Alternative]:
        """Returns the alternatives of the rest after a character of a class."""
        key = (sequence, index, at_start)
        if key in self._known:
            return self._known[key]
        if key in self._active:  # A repetition of nothing adds nothing.
            self._lowest = min(self._lowest, self._active[key])
            return frozenset()
        self._work += 1
        if self._work > _MAX_WORK:
            raise PatternError("its look-ahead is too complex: the automaton takes too long")
        depth, outer = len(self._active), self._lowest
        self._active[key], self._lowest = depth, depth
        found = _simplified(self._computed(sequence, index, at_start))
        del self._active[key]
        if self._lowest >= depth:  # Otherwise it lacks what an outer call is about to find.
            self._known[key] = found
        self._lowest = min(outer, self._lowest)
        return found

    def _computed(self, sequence: _Sequence, index: int, at_start: bool) -> Iterable[_Alternative]:
        if not sequence:
            return ()
        first, rest = sequence[0], sequence[1:]
        match first:
            case CharSet():
                return (_required(rest),) if index in self._classes_of(first) else ()
            case Anchor("^"):
                return self.step(rest, index, at_start) if at_start else ()
            case Anchor():
                return ()
            case Group():
                return frozenset().union(
                    *(self.step((*option, *rest), index, at_start) for option in first.options)
                )
            case Repeat():
                return self._repeated(first, rest, index, at_start)
            case Look():
                return self._looked(first, rest, index, at_start)

    def _repeated(
        self, first: Repeat, rest: _Sequence, index: int, at_start: bool
    ) -> Iterable[_Alternative]:
        out = self.step(rest, index, at_start) if first.min_count == 0 else frozenset()
        if first.max_count == 0:
            return out
        max_count = None if first.max_count is None else first.max_count - 1
        remaining = Repeat(first.node, max(first.min_count - 1, 0), max_count)
        return out | self.step((first.node, remaining, *rest), index, at_start)

    def _looked(
        self, first: Look, rest: _Sequence, index: int, at_start: bool
    ) -> Iterable[_Alternative]:
        body = (first.node, _ANYTHING)
        following = self.step(rest, index, at_start)
        if not first.negative:
            return _conjunction([self.step(body, index, at_start), following])
        excluded = self._none_of((body,), at_start, index)
        return () if excluded is None else _conjunction([{(frozenset(), excluded)}, following])

    def _none_of(
        self, unwanted: Iterable[_Sequence], at_start: bool, index: int
    ) -> frozenset[_Sequence] | None:
        """Returns what must not match after a character; None if something has matched."""
        out: set[_Sequence] = set()
        for sequence in unwanted:
            for wanted, nested in self.step(sequence, index, at_start):
                if nested or len(wanted) > 1:
                    raise PatternError("look-ahead inside a negative look-ahead is not supported")
                if not wanted:
                    return None
                out |= wanted
        return frozenset(out)

    def _classes_of(self, char_set: CharSet) -> frozenset[int]:
        if char_set not in self._classes:
            self._classes[char_set] = self.alphabet.classes_of(parse_ranges(char_set.source))
        return self._classes[char_set]


def _required(rest: _Sequence) -> _Alternative:
    return _TRUE if rest == (_ANYTHING,) else (frozenset({rest}), frozenset())


def _conjunction(parts: Iterable[Iterable[_Alternative]]) -> frozenset[_Alternative]:
    """Returns the alternatives of a conjunction of alternatives."""
    out: frozenset[_Alternative] = frozenset({_TRUE})
    for part in parts:
        out = _simplified(
            (wanted | more, unwanted | less) for wanted, unwanted in out for more, less in part
        )
    return out


def _simplified(alternatives: Iterable[_Alternative]) -> frozenset[_Alternative]:
    """Removes the alternatives that another one includes."""
    unique = set(alternatives)
    if len(unique) > _MAX_ALTERNATIVES:
        raise PatternError(
            f"its look-ahead is too complex: it combines more than {_MAX_ALTERNATIVES} alternatives"
        )
    return frozenset(
        one
        for one in unique
        if not any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in unique)
    )


def _matches_end(sequence: _Sequence, at_start: bool) -> bool:
    """Whether a sequence matches nothing at the end of the text."""
    return all(_is_empty(node, at_start) for node in sequence)


@cache
def _is_empty(node: Node, at_start: bool) -> bool:
    match node:
        case CharSet():
            return False
        case Anchor():
            return at_start or node.sign == "$"
        case Group():
            return any(_matches_end(option, at_start) for option in node.options)
        case Repeat():
            return node.min_count == 0 or _is_empty(node.node, at_start)
        case Look():
            return _is_empty(node.node, at_start) is not node.negative
