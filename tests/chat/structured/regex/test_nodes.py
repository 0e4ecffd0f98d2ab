"""Size of a pattern: the number of nodes once repetitions are expanded."""

import pytest

from friendli_endpoint.chat.structured.regex.classes import ASCII_ONLY
from friendli_endpoint.chat.structured.regex.nodes import (
    Anchor,
    CharSet,
    Group,
    Node,
    Repeat,
    size_of,
)
from friendli_endpoint.chat.structured.regex.parsing import parse
from tests.chat.structured.regex.helpers import check_rejected

A = CharSet("a")


@pytest.mark.parametrize(
    ("node", "size"),
    [
        (A, 1),
        (Anchor("^"), 1),
        (Group(((),)), 1),
        (Group(((A, A),)), 3),
        (Group(((A,), (A, A), ())), 4),
        (Repeat(A, 0, 0), 1),
        (Repeat(A, 0, None), 1),
        (Repeat(A, 7, None), 7),
        (Repeat(A, 2, 5), 5),
        (Repeat(Repeat(A, 3, 3), 4, 4), 12),
        (Repeat(Group(((A, A),)), 0, 10), 30),
    ],
)
def test_bounded_repetitions_count_at_their_maximum(node: Node, size: int) -> None:
    assert size_of(node) == size


@pytest.mark.parametrize("pattern", ["a{19999}", "a{0,19999}", "(?:a{99}){199}b{98}"])
def test_a_pattern_of_the_maximum_size_is_supported(pattern: str) -> None:
    assert size_of(parse(pattern, ASCII_ONLY).root) <= 20_000


def test_a_pattern_beyond_the_maximum_size_is_rejected() -> None:
    check_rejected("a{20000}", "its repetitions expand to more than 20,000 characters")
