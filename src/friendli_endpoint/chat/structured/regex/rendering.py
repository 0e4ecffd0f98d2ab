"""Rendering of regular expressions for the compiler, without anchors."""

from collections.abc import Iterable

from friendli_endpoint.chat.structured.regex.characters import escape_character
from friendli_endpoint.chat.structured.regex.nodes import (
    Anchor,
    CharSet,
    Group,
    Node,
    PatternError,
    Repeat,
)

__all__ = ["render", "texts_except"]

_ANY = r"(?s:.*)"


def render(node: Node, left: str, right: str, excluded: str = "") -> str:
    """Renders a node in the compiler's syntax.

    Args:
        node: The node.
        left: Context on its left: the beginning of the text (`closed`), the beginning or any text
            (`open`), or another node (`inner`), after which `^` can never match.
        right: Context on its right, likewise.
        excluded: Characters that are never matched, in the syntax inside a class.

    Raises:
        PatternError: An anchor can never match where it is.
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
    next_characters: dict[str, set[str]] = {"": set()}
    for text in sorted(listed):
        for end in range(len(text)):
            next_characters.setdefault(text[:end], set()).add(text[end])
            next_characters.setdefault(text[: end + 1], set())
    options = []
    for prefix, characters in next_characters.items():
        rendered = "".join(map(escape_character, prefix))
        if prefix not in listed:
            options.append(rendered)
        listed_next = "".join(map(escape_character, sorted(characters)))
        differing = f"[^{listed_next}]" if characters else "(?s:.)"
        options.append(f"{rendered}{differing}(?s:.*)")
    return f"(?:{'|'.join(options)})"
