"""Nodes on cycles of a graph are grouped by the cycle."""

from friendli_endpoint.chat.structured.json_schema.components import cyclic_components


def test_nodes_on_a_cycle_have_the_same_number_and_others_have_none() -> None:
    edges = {"a": "b", "b": "ac", "c": "d", "d": "ef", "e": "d", "f": "x", "g": "g", "h": "a"}
    found = cyclic_components(edges)
    assert found.keys() == {*"abdeg"}
    assert found["a"] == found["b"]
    assert found["d"] == found["e"]
    assert len(set(found.values())) == 3


def test_a_long_cycle_needs_no_deep_stack() -> None:
    names = [str(index) for index in range(20_000)]
    found = cyclic_components(
        dict(zip(names, ([name] for name in names[1:] + names[:1]), strict=True))
    )
    assert len(found) == len(names)
    assert len(set(found.values())) == 1
