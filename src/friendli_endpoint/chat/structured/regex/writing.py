"""Regular expressions for the compiler: of nodes, without anchors, and of all texts but some."""

from collections.abc import Iterable

from friendli_endpoint.chat.structured.regex.characters import coded
from friendli_endpoint.chat.structured.regex.nodes import (
    Anchor,
    Group,
    Node,
    PatternError,
    Repeat,
    Text,
)

__all__ = ["other_texts", "written"]

_ANY = r"(?s:.*)"


def written(node: Node, left: str, right: str, without: str = "") -> str:
    """A node for the compiler.

    Args:
        node: What to write.
        left: What is before it: the beginning of the text (`closed`), the beginning or anything
            (`open`), or another node (`inner`), after which `^` can never hold.
        right: The same for what comes after it.
        without: Characters that are never matched, as they are written in a class.

    Raises:
        PatternError: An anchor stands where it can never hold.
    """
    if isinstance(node, Group):
        options = (_sequence(option, left, right, without) for option in node.options)
        return f"(?:{'|'.join(options)})"
    if isinstance(node, Anchor):
        raise PatternError(f"the anchor {node.sign} inside the text, where it can never hold")
    if isinstance(node, Repeat):
        most = "" if node.most is None else node.most
        return f"(?:{written(node.node, 'inner', 'inner', without)}){{{node.least},{most}}}"
    return _text(node, without)


def _text(node: Text, without: str) -> str:
    plain = node.written.isalnum() or not without
    return node.written if plain else f"[{node.written}--[{without}]]"


def _sequence(nodes: tuple[Node, ...], left: str, right: str, without: str) -> str:
    while nodes and nodes[0] == Anchor("^") and left != "inner":
        nodes, left = nodes[1:], "closed"
    while nodes and nodes[-1] == Anchor("$") and right != "inner":
        nodes, right = nodes[:-1], "closed"
    anything = f"[^{without}]*" if without else _ANY
    if not nodes:
        return anything if "open" in (left, right) else ""
    last = len(nodes) - 1
    out = []
    for index, node in enumerate(nodes):
        before = left if index == 0 else "inner"
        after = right if index == last else "inner"
        if isinstance(node, Group):
            out.append(written(node, before, after, without))
            continue
        out.append(anything if before == "open" else "")
        out.append(written(node, "inner", "inner", without))
        out.append(anything if after == "open" else "")
    return "".join(out)


def other_texts(texts: Iterable[str]) -> str:
    """A pattern for every text that is none of these.

    Such a text stops at a beginning of theirs that is not one of them, or leaves all of them there.
    """
    listed = set(texts)
    following: dict[str, set[str]] = {"": set()}
    for text in sorted(listed):
        for end in range(len(text)):
            following.setdefault(text[:end], set()).add(text[end])
            following.setdefault(text[: end + 1], set())
    ways = []
    for beginning, characters in following.items():
        written = "".join(map(coded, beginning))
        if beginning not in listed:
            ways.append(written)
        left = f"[^{''.join(map(coded, sorted(characters)))}]" if characters else "(?s:.)"
        ways.append(f"{written}{left}(?s:.*)")
    return f"(?:{'|'.join(ways)})"
