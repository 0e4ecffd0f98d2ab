"""Control tokens in the text of a prompt: the template's, and those in user text.

A mark breaks the control tokens in user text before rendering; the rendered text is then split into
the template's control tokens and the spans between them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from friendli_endpoint.generation import Vocabulary

__all__ = ["ControlText"]

_SPACE = " \t\n\v\f\r"
_CACHE_SIZE = 1024


@dataclass(frozen=True, slots=True)
class _Control:
    """A control token.

    Attributes:
        ids: The token's id.
        strips_before: Whether the tokenizer drops white space before it.
        strips_after: Whether the tokenizer drops white space after it.
    """

    ids: Sequence[int]
    strips_before: bool
    strips_after: bool


_NOTHING = _Control((), False, False)


class ControlText:
    """Finds the control tokens of a vocabulary in texts.

    Args:
        vocabulary: The model's tokens, possibly with thousands of control tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._tokenize = vocabulary.tokenize
        decoded = (
            vocabulary.token_bytes(t).decode(errors="replace") for t in vocabulary.control_ids
        )
        texts = set(filter(None, decoded))
        self._whole = re.compile(_any_of(texts)) if texts else None
        self._beginning = re.compile(_any_of(texts, ahead=True))
        # A control token that begins like a word is matched only as a whole, so that names and
        # roles in messages stay unbroken.
        self._prefixes = {t[:n] for t in texts for n in range(1, len(t)) if not t[0].isalnum()}
        self._max_length = max(map(len, texts), default=0)
        self._control = lru_cache(_CACHE_SIZE)(self._read_control)

    def broken(self, text: str, mark: str) -> str:
        """Inserts a mark after the first character of each control token in a text.

        A control token that is only begun at the end of the text is broken as well, because the
        text after it may complete it.
        """
        if self._whole is None:
            return text
        lengths = range(1, min(len(text), self._max_length) + 1)
        positions = {found.end() for found in self._beginning.finditer(text)}
        positions |= {len(text) - n + 1 for n in lengths if text[len(text) - n :] in self._prefixes}
        edges = [0, *sorted(positions), len(text)]
        return mark.join(text[start:stop] for start, stop in pairwise(edges))

    def tokens(self, text: str, mark: str) -> list[int]:
        """Tokenizes a rendered text in which a mark breaks the control tokens of user text."""
        return [token for ids in self._spans(text, mark) for token in ids]

    def _spans(self, text: str, mark: str) -> Iterator[Sequence[int]]:
        """Yields the tokens span by span.

        Passing the whole text to the tokenizer would be slow: it searches for each control token
        separately.
        """
        found = self._whole.finditer(text) if self._whole else ()
        # A match followed by a mark is a one-character control token in user text.
        own = [match for match in found if not text.startswith(mark, match.end())]
        before = [_NOTHING, *(self._control(match[0]) for match in own)]
        starts = [0, *(match.end() for match in own)]
        ends = [*(match.start() for match in own), len(text)]
        for control, following, start, end in zip(
            before, [*before[1:], _NOTHING], starts, ends, strict=True
        ):
            yield control.ids
            span = text[start:end].replace(mark, "")
            span = span.lstrip(_SPACE) if control.strips_after else span
            span = span.rstrip(_SPACE) if following.strips_before else span
            yield self._tokenize(span, False)

    def _read_control(self, text: str) -> _Control:
        ids = self._tokenize(text, True)
        return _Control(
            tuple(ids),
            strips_before=self._tokenize(f"{_SPACE}{text}", True) == ids,
            strips_after=self._tokenize(f"{text}{_SPACE}", True) == ids,
        )


def _any_of(texts: Iterable[str], *, ahead: bool = False) -> str:
    """Returns a pattern that matches the longest of some texts; a trie, fast for many texts.

    Args:
        texts: Non-empty texts.
        ahead: Whether the match is only the first character, with the rest as a lookahead.
    """
    tree: dict[str, Any] = {}
    for text in texts:
        node = tree
        for character in text:
            node = node.setdefault(character, {})
        node[""] = {}
    if not ahead:
        return _pattern(tree)
    return "|".join(f"{re.escape(first)}(?={_pattern(rest)})" for first, rest in tree.items())


def _pattern(tree: Mapping[str, Any]) -> str:
    """Returns a pattern of a subtree of the trie; optional if one of the texts ends at its root."""
    straight = ""
    while len(tree) == 1 and "" not in tree:
        ((character, tree),) = tree.items()
        straight += re.escape(character)
    branches = [re.escape(first) + _pattern(rest) for first, rest in tree.items() if first]
    if not branches:
        return straight
    return f"{straight}(?:{'|'.join(branches)}){'?' * ('' in tree)}"
