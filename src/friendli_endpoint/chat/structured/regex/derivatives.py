"""Derivatives of sequences of nodes with look-ahead, by classes of characters."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from friendli_endpoint.chat.structured.regex.nodes import (
    Anchor,
    CharSet,
    Group,
    Look,
    Node,
    PatternError,
    Repeat,
)
from friendli_endpoint.chat.structured.regex.ranges import Alphabet, parse_ranges

__all__ = ["ANYTHING", "Alternative", "Derivatives", "Sequence"]

_MAX_ALTERNATIVES = 200
_MAX_WORK = 10_000
"""Derivatives of sequences. 33,000, of a look-ahead with 100 words, take 1.1 s. The `duration` of
zod needs less than 1,000."""

_EVERYTHING = CharSet(r"[\x{0}-\x{10ffff}]")
ANYTHING = Repeat(_EVERYTHING, 0, None)

Sequence = tuple[Node, ...]
Alternative = tuple[frozenset[Sequence], frozenset[Sequence]]
"""Sequences that must match the rest of the text, and sequences that must not."""
_TRUE: Alternative = (frozenset(), frozenset())


@dataclass(slots=True)
class Derivatives:
    """Derivatives of sequences by classes of characters."""

    alphabet: Alphabet
    _classes: dict[CharSet, frozenset[int]] = field(default_factory=dict)
    _known: dict[tuple[Sequence, int, bool], frozenset[Alternative]] = field(default_factory=dict)
    _active: dict[tuple[Sequence, int, bool], int] = field(default_factory=dict)
    _lowest: int = 0
    _work: int = 0

    def may_end(self, alternatives: Iterable[Alternative], at_start: bool) -> bool:
        """Whether the text may end in a state."""
        return any(
            all(_matches_end(sequence, at_start) for sequence in wanted)
            and not any(_matches_end(sequence, at_start) for sequence in unwanted)
            for wanted, unwanted in alternatives
        )

    def after(
        self, alternatives: Iterable[Alternative], at_start: bool, index: int
    ) -> frozenset[Alternative]:
        """Returns the alternatives after a character of a class."""
        out: set[Alternative] = set()
        for wanted, unwanted in alternatives:
            excluded = self._none_of(unwanted, at_start, index)
            if excluded is not None:
                found = [self.step(sequence, index, at_start) for sequence in wanted]
                out |= _conjunction([{(frozenset(), excluded)}, *found])
        return _simplified(out)

    def step(self, sequence: Sequence, index: int, at_start: bool) -> frozenset[Alternative]:
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

    def _computed(self, sequence: Sequence, index: int, at_start: bool) -> Iterable[Alternative]:
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
        self, first: Repeat, rest: Sequence, index: int, at_start: bool
    ) -> Iterable[Alternative]:
        out = self.step(rest, index, at_start) if first.min_count == 0 else frozenset()
        if first.max_count == 0:
            return out
        max_count = None if first.max_count is None else first.max_count - 1
        remaining = Repeat(first.node, max(first.min_count - 1, 0), max_count)
        return out | self.step((first.node, remaining, *rest), index, at_start)

    def _looked(
        self, first: Look, rest: Sequence, index: int, at_start: bool
    ) -> Iterable[Alternative]:
        body = (first.node, ANYTHING)
        following = self.step(rest, index, at_start)
        if not first.negative:
            return _conjunction([self.step(body, index, at_start), following])
        excluded = self._none_of((body,), at_start, index)
        return () if excluded is None else _conjunction([{(frozenset(), excluded)}, following])

    def _none_of(
        self, unwanted: Iterable[Sequence], at_start: bool, index: int
    ) -> frozenset[Sequence] | None:
        """Returns what must not match after a character; None if something has matched."""
        out: set[Sequence] = set()
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


def _required(rest: Sequence) -> Alternative:
    return _TRUE if rest == (ANYTHING,) else (frozenset({rest}), frozenset())


def _conjunction(parts: Iterable[Iterable[Alternative]]) -> frozenset[Alternative]:
    """Returns the alternatives of a conjunction of alternatives."""
    out: frozenset[Alternative] = frozenset({_TRUE})
    for part in parts:
        out = _simplified(
            (wanted | more, unwanted | less) for wanted, unwanted in out for more, less in part
        )
    return out


def _simplified(alternatives: Iterable[Alternative]) -> frozenset[Alternative]:
    """Removes the alternatives that another one includes."""
    unique = set(alternatives)
    if len(unique) > _MAX_ALTERNATIVES:
        raise PatternError(
            f"its look-ahead is too complex: it combines more than {_MAX_ALTERNATIVES} alternatives"
        )
    return frozenset(
        kept
        for kept in unique
        if not any(
            wider != kept and wider[0] <= kept[0] and wider[1] <= kept[1] for wider in unique
        )
    )


def _matches_end(sequence: Sequence, at_start: bool) -> bool:
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
