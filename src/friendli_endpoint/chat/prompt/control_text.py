"""Control tokens in a prompt's text: those that the template wrote, and those that users did.

What users wrote is broken by a mark before rendering, so that no control token is spelt out in it;
the rendered text is then cut into the template's control tokens and the stretches between them.
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
_KEPT = 1024


@dataclass(frozen=True, slots=True)
class _Control:
    """A control token.

    Attributes:
        ids: The token.
        eats_before: Whether white space before it is dropped.
        eats_after: Whether white space after it is dropped.
    """

    ids: Sequence[int]
    eats_before: bool
    eats_after: bool


_NOTHING = _Control((), False, False)


class ControlText:
    """Finds the control tokens of a vocabulary in texts.

    Args:
        vocabulary: The model's tokens; models may have thousands that are control tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._tokenize = vocabulary.tokenize
        written = (
            vocabulary.token_bytes(t).decode(errors="replace") for t in vocabulary.control_ids
        )
        texts = set(filter(None, written))
        self._whole = re.compile(_any_of(texts)) if texts else None
        self._beginning = re.compile(_any_of(texts, ahead=True))
        # Names and roles are left alone: what begins like a word is looked for as a whole only.
        self._begun = {t[:n] for t in texts for n in range(1, len(t)) if not t[0].isalnum()}
        self._longest = max(map(len, texts), default=0)
        self._control = lru_cache(_KEPT)(self._read_control)

    def broken(self, text: str, mark: str) -> str:
        """A mark after the first character of each control token, and of one that is begun.

        What a text begins at its end may be completed by the text that comes after it.
        """
        if self._whole is None:
            return text
        lengths = range(1, min(len(text), self._longest) + 1)
        places = {found.end() for found in self._beginning.finditer(text)}
        places |= {len(text) - n + 1 for n in lengths if text[len(text) - n :] in self._begun}
        edges = [0, *sorted(places), len(text)]
        return mark.join(text[start:stop] for start, stop in pairwise(edges))

    def tokens(self, text: str, mark: str) -> list[int]:
        """The tokens of a text in which what users wrote is broken by a mark."""
        return [token for ids in self._stretches(text, mark) for token in ids]

    def _stretches(self, text: str, mark: str) -> Iterator[Sequence[int]]:
        """Tokens by stretches; the tokenizer itself would look for each control token apart."""
        found = self._whole.finditer(text) if self._whole else ()
        # What a mark follows is a user's, of one character.
        own = [each for each in found if not text.startswith(mark, each.end())]
        before = [_NOTHING, *(self._control(each[0]) for each in own)]
        starts = [0, *(each.end() for each in own)]
        ends = [*(each.start() for each in own), len(text)]
        for control, following, start, end in zip(
            before, [*before[1:], _NOTHING], starts, ends, strict=True
        ):
            yield control.ids
            stretch = text[start:end].replace(mark, "")
            stretch = stretch.lstrip(_SPACE) if control.eats_after else stretch
            stretch = stretch.rstrip(_SPACE) if following.eats_before else stretch
            yield self._tokenize(stretch, False)

    def _read_control(self, text: str) -> _Control:
        ids = self._tokenize(text, True)
        return _Control(
            tuple(ids),
            eats_before=self._tokenize(f"{_SPACE}{text}", True) == ids,
            eats_after=self._tokenize(f"{text}{_SPACE}", True) == ids,
        )


def _any_of(texts: Iterable[str], *, ahead: bool = False) -> str:
    """A pattern of any of some texts, the longest that is there, quick however many they are.

    Args:
        texts: None of them empty.
        ahead: Whether the match is to be the first character only.
    """
    tree: dict[str, Any] = {}
    for text in texts:
        node = tree
        for character in text:
            node = node.setdefault(character, {})
        node[""] = {}
    if not ahead:
        return _pattern(tree)
    return "|".join(f"{re.escape(each)}(?={_pattern(rest)})" for each, rest in tree.items())


def _pattern(tree: Mapping[str, Any]) -> str:
    """What follows a beginning that texts share; where one of them ends there, maybe nothing."""
    straight = ""
    while len(tree) == 1 and "" not in tree:
        ((character, tree),) = tree.items()
        straight += re.escape(character)
    branches = [re.escape(each) + _pattern(rest) for each, rest in tree.items() if each]
    if not branches:
        return straight
    return f"{straight}(?:{'|'.join(branches)}){'?' * ('' in tree)}"
