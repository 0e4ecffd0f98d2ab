"""Deterministic automata over classes of characters, and regular expressions of them."""

import re
from dataclasses import dataclass, field

from friendli_endpoint.chat.structured.regex.nodes import PatternError
from friendli_endpoint.chat.structured.regex.ranges import Alphabet, render_ranges

__all__ = ["Automaton"]

_MAX_STATES = 150
_MAX_CHARACTERS = 20_000
"""Characters of an expression. The compiler needs 30 ms for 46,617 characters of a complement."""


@dataclass(frozen=True, slots=True)
class Automaton:
    """A complete deterministic automaton; state 0 is its start.

    Attributes:
        alphabet: Classes of characters.
        transitions: For each state, the next state by class.
        accepting: The states in which a text may end.
    """

    alphabet: Alphabet
    transitions: list[list[int]]
    accepting: frozenset[int]

    def complement(self) -> "Automaton":
        """Returns the automaton of all other texts."""
        states = frozenset(range(len(self.transitions)))
        return Automaton(self.alphabet, self.transitions, states - self.accepting)

    def minimal(self) -> "Automaton":
        """Returns the smallest automaton of the same texts."""
        block = [int(state in self.accepting) for state in range(len(self.transitions))]
        while True:
            keys = [
                (block[state], *(block[following] for following in row))
                for state, row in enumerate(self.transitions)
            ]
            numbers: dict[tuple[int, ...], int] = {}
            refined = [numbers.setdefault(key, len(numbers)) for key in keys]
            if len(numbers) == len(set(block)):
                break
            block = refined
        rows: dict[int, list[int]] = {}
        for state, row in enumerate(self.transitions):
            rows.setdefault(refined[state], [refined[following] for following in row])
        accepting = frozenset(refined[state] for state in self.accepting)
        return Automaton(self.alphabet, [rows[number] for number in range(len(rows))], accepting)

    def expression(self) -> str:
        """Returns a regular expression of the texts, in the compiler's syntax.

        States are removed one by one, those with the shortest bypasses first.

        Raises:
            PatternError: No text matches, or the expression would be too long.
        """
        reduced = self.minimal()
        useful = reduced._useful()
        if not useful:
            raise PatternError("no text matches it")
        if len(useful) > _MAX_STATES:
            raise PatternError(
                f"its look-ahead is too complex: the automaton has more than {_MAX_STATES} states"
            )
        graph = reduced._graph(useful)
        for _ in useful:
            graph.bypass(min(sorted(graph.into), key=graph.cost))
        return graph.out[_START][_END]

    def _useful(self) -> frozenset[int]:
        """Returns the states from which a text can end; empty if the start is not one of them."""
        useful = set(self.accepting)
        while True:
            found = {
                state
                for state, row in enumerate(self.transitions)
                if state not in useful and not useful.isdisjoint(row)
            }
            if not found:
                return frozenset(useful) if 0 in useful else frozenset()
            useful |= found

    def _graph(self, useful: frozenset[int]) -> "_Graph":
        graph = _Graph()
        graph.add(_START, 0, "")
        for state in sorted(useful):
            for following in sorted(useful.intersection(self.transitions[state])):
                classes = (
                    index
                    for index, target in enumerate(self.transitions[state])
                    if target == following
                )
                graph.add(state, following, render_ranges(self.alphabet.union(classes)))
            if state in self.accepting:
                graph.add(state, _END, "")
        return graph


_START, _END = -1, -2


@dataclass(slots=True)
class _Graph:
    """States with expressions on the edges between them.

    Attributes:
        out: The expressions from a state, by the state that they lead to.
        into: The states before each state that may be removed.
        length: Characters of all expressions.
    """

    out: dict[int, dict[int, str]] = field(default_factory=dict)
    into: dict[int, set[int]] = field(default_factory=dict)
    length: int = 0

    def add(self, source: int, target: int, text: str) -> None:
        """Adds an alternative to an edge."""
        known = self.out.setdefault(source, {}).get(target)
        both = text if known is None else _either(known, text)
        self.length += len(both) - len(known or "")
        self.out[source][target] = both
        if target != _END:
            self.into.setdefault(target, set()).add(source)
        if self.length > _MAX_CHARACTERS:
            raise PatternError(
                "its look-ahead is too complex: as an expression without it, it would have more "
                f"than {_MAX_CHARACTERS:,} characters"
            )

    def cost(self, state: int) -> int:
        """Returns about how many characters the removal of a state adds."""
        out = [len(text) for target, text in self.out.get(state, {}).items() if target != state]
        before = [len(self.out[source][state]) for source in self.into[state] if source != state]
        loop = len(self.out.get(state, {}).get(state, ""))
        through = sum(before) * len(out) + sum(out) * len(before)
        return through + loop * len(before) * len(out) - sum(before) - sum(out) - loop

    def bypass(self, state: int) -> None:
        """Removes a state and joins the edges on both of its sides."""
        after = self.out.pop(state, {})
        loop = after.pop(state, None)
        middle = f"{_atom(loop)}*" if loop else ""
        before = {
            source: self.out[source].pop(state)
            for source in self.into.pop(state)
            if source != state
        }
        self.length -= sum(map(len, (*after.values(), *before.values(), loop or "")))
        for target in after:
            if target != _END:
                self.into[target].discard(state)
        for source, first in before.items():
            for target, last in after.items():
                self.add(source, target, _joined(f"{_sequence(first)}{middle}", last))


_COUNTED = re.compile(r"(\[[^\]]*\]|\(\?s:\.\))(?:(\?)|\{(\d+),(\d+)\})?")
"""A class, which may be optional or counted."""


def _count_of(text: str) -> tuple[str, int, int] | None:
    """Returns the class of an expression that is one, with its minimum and maximum count."""
    found = _COUNTED.fullmatch(text)
    if found is None:
        return None
    if found[2]:
        return found[1], 0, 1
    return found[1], int(found[3] or 1), int(found[4] or 1)


def _counted(source: str, min_count: int, max_count: int) -> str:
    if max_count == 1:
        return source if min_count else f"{source}?"
    return f"{source}{{{min_count},{max_count}}}"


def _joined(first: str, last: str) -> str:
    """Returns the sequence of two expressions; repetitions of one class become a count."""
    before, after = _count_of(first), _count_of(last)
    if before and after and before[0] == after[0]:
        return _counted(before[0], before[1] + after[1], before[2] + after[2])
    return f"{first}{_sequence(last)}"


def _either(first: str, second: str) -> str:
    if first == second:
        return first
    if not first or not second:
        counted = _count_of(first or second)
        if counted and counted[1] <= 1:
            return _counted(counted[0], 0, counted[2])
        return f"{_atom(first or second)}?"
    return f"{first}|{second}"


def _sequence(text: str) -> str:
    return f"(?:{text})" if _has_alternatives(text) else text


def _atom(text: str) -> str:
    """Returns an expression that a sign of repetition can follow."""
    is_class = text.startswith("[") and text.find("]") == len(text) - 1
    return text if is_class or text == "(?s:.)" else f"(?:{text})"


def _has_alternatives(text: str) -> bool:
    """Whether an expression has alternatives outside groups; classes have no plain brackets."""
    depth = 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if sign == "|" and depth == 0:
            return True
    return False
