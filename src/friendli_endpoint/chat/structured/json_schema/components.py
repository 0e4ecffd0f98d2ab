"""Cycles of a directed graph: its strongly connected components."""

from collections.abc import Iterable, Iterator, Mapping

__all__ = ["cyclic_components"]


def cyclic_components(edges: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Numbers the nodes that are on a cycle; nodes on the same cycle have the same number.

    The work is linear in the number of edges (Kosaraju's algorithm).

    Args:
        edges: The nodes that an edge leads to, for each node; others are ignored.
    """
    forward = {node: [target for target in edges[node] if target in edges] for node in edges}
    backward: dict[str, list[str]] = {node: [] for node in forward}
    for node, targets in forward.items():
        for target in targets:
            backward[target].append(node)
    finished: list[str] = []
    seen: set[str] = set()
    for node in forward:
        finished += _reached(node, forward, seen)
    out: dict[str, int] = {}
    seen = set()
    for number, node in enumerate(reversed(finished)):
        component = _reached(node, backward, seen)
        if len(component) > 1 or node in forward[node]:
            out.update(dict.fromkeys(component, number))
    return out


def _reached(start: str, edges: Mapping[str, list[str]], seen: set[str]) -> list[str]:
    """Returns the nodes that are reached and not yet seen; each after those that it leads to."""
    if start in seen:
        return []
    seen.add(start)
    out: list[str] = []
    stack: list[tuple[str, Iterator[str]]] = [(start, iter(edges[start]))]
    while stack:
        node, targets = stack[-1]
        following = next((target for target in targets if target not in seen), None)
        if following is None:
            out.append(node)
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(edges[following])))
    return out
