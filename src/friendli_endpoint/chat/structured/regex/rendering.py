"""Rendering of regular expressions for the compiler, without anchors."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from friendli_endpoint.chat.structured.regex.characters import escape_character
from friendli_endpoint.chat.structured.regex.nodes import (
    Anchor,
    CharSet,
    Group,
    Look,
    Node,
    PatternError,
    Repeat,
)

__all__ = ["count_except", "render", "texts_except"]

_ANY = r"(?s:.*)"

_MAX_GROUPS = 50
"""Groups of the pattern of `texts_except` inside each other. Each takes three of the 250 levels of
nesting that the compiler's parser allows."""


def render(node: Node, left: str, right: str, excluded: str = "") -> str:
    """Renders a node in the compiler's syntax.

    Args:
        node: The node.
        left: Context on its left: the beginning of the text (`closed`), the beginning or any text
            (`open`), or another node (`inner`), after which `^` can never match.
        right: Context on its right, likewise.
        excluded: Characters that are never matched, in the syntax inside a class.

    Raises:
        PatternError: An anchor can never match where it is, or there is a look-ahead.
    """
    if isinstance(node, Group):
        options = (_sequence(option, left, right, excluded) for option in node.options)
        return f"(?:{'|'.join(options)})"
    if isinstance(node, Anchor):
        raise PatternError(f"the anchor {node.sign} is inside the text, where it can never match")
    if isinstance(node, Repeat):
        max_count = "" if node.max_count is None else node.max_count
        repeated = render(node.node, "inner", "inner", excluded)
        return f"(?:{repeated}){{{node.min_count},{max_count}}}"
    if isinstance(node, Look):
        raise PatternError("look-ahead is not supported in this place")
    return _char_set(node, excluded)


def _char_set(node: CharSet, excluded: str) -> str:
    unaffected = node.source.isalnum() or not excluded
    return node.source if unaffected else f"[{node.source}--[{excluded}]]"


def _sequence(nodes: tuple[Node, ...], left: str, right: str, excluded: str) -> str:
    while nodes and nodes[0] == Anchor("^") and left != "inner":
        nodes, left = nodes[1:], "closed"
    while nodes and nodes[-1] == Anchor("$") and right != "inner":
        nodes, right = nodes[:-1], "closed"
    anything = f"[^{excluded}]*" if excluded else _ANY
    if not nodes:
        return anything if "open" in (left, right) else ""
    last = len(nodes) - 1
    out = []
    for index, node in enumerate(nodes):
        before = left if index == 0 else "inner"
        after = right if index == last else "inner"
        if isinstance(node, Group):
            out.append(render(node, before, after, excluded))
            continue
        out.append(anything if before == "open" else "")
        out.append(render(node, "inner", "inner", excluded))
        out.append(anything if after == "open" else "")
    return "".join(out)


def texts_except(texts: Iterable[str]) -> str:
    """Returns a pattern that matches every text except these.

    Such a text is a proper prefix of a listed text, or differs from all of them after a common
    prefix.
    """
    listed = set(texts)
    return _except(_trie(listed), _block_height(listed))


def count_except(texts: Iterable[str]) -> int:
    """Returns the number of characters and classes in the pattern of `texts_except`."""
    listed = set(texts)
    return _count(_trie(listed), _block_height(listed))


@dataclass(slots=True)
class _Prefix:
    """A common prefix of listed texts.

    Attributes:
        next: The prefixes that have one more character.
        is_listed: Whether it is a listed text itself.
    """

    next: dict[str, "_Prefix"] = field(default_factory=dict)
    is_listed: bool = False


def _trie(texts: Iterable[str]) -> _Prefix:
    root = _Prefix()
    for text in texts:
        prefix = root
        for character in text:
            prefix = prefix.next.setdefault(character, _Prefix())
        prefix.is_listed = True
    return root


def _block_height(texts: Iterable[str]) -> int:
    """Returns how many characters of the texts one group of the pattern reads.

    An alternative for each prefix would repeat all prefixes, so that the pattern of a text of 2,000
    characters has 2,000,000. A group for each character would be nested deeper than the compiler
    allows.
    """
    return max(1, -(-max(map(len, texts), default=0) // _MAX_GROUPS))


def _in_block(root: _Prefix, height: int) -> Iterator[tuple[_Prefix, str, bool]]:
    """Yields the prefixes that one group reads.

    Yields:
        A prefix, its characters after those of `root`, and whether a group of its own reads what
        comes after it.
    """
    pending = [(root, "")]
    while pending:
        prefix, characters = pending.pop()
        is_nested = len(characters) == height and bool(prefix.next)
        yield prefix, characters, is_nested
        if not is_nested:
            following = sorted(prefix.next.items(), reverse=True)
            pending.extend((child, characters + character) for character, child in following)


def _count(root: _Prefix, height: int) -> int:
    count = 0
    for prefix, characters, is_nested in _in_block(root, height):
        rest = _count(prefix, height) if is_nested else 2 + len(prefix.next)
        count += len(characters) + rest
    return count


def _except(root: _Prefix, height: int) -> str:
    options = []
    for prefix, characters, is_nested in _in_block(root, height):
        read = "".join(map(escape_character, characters))
        if is_nested:
            options.append(read + _except(prefix, height))
            continue
        listed_next = "".join(map(escape_character, sorted(prefix.next)))
        differing = f"[^{listed_next}]" if listed_next else "(?s:.)"
        rest = f"{differing}{_ANY}"
        options.append(f"{read}{rest}" if prefix.is_listed else f"{read}(?:{rest})?")
    return f"(?:{'|'.join(options)})"
