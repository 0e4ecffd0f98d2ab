"""Size of a pattern: the number of nodes once repetitions are expanded."""

import pytest

from friendli_endpoint.chat.structured.regex.classes import ASCII_ONLY
from friendli_endpoint.chat.structured.regex.nodes import (
    Anchor,
    CharSet,
    Group,
    Node,
    Repeat,
    fixed_length,
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


@pytest.mark.parametrize("pattern", ["[ab]{19999}", "a{0,19999}", "(?:[ab]{99}){199}b{98}"])
def test_a_pattern_of_the_maximum_size_is_supported(pattern: str) -> None:
    assert size_of(parse(pattern, ASCII_ONLY).root) <= 20_000


def test_a_pattern_beyond_the_maximum_size_is_rejected() -> None:
    check_rejected("a{20000}", "its repetitions expand to more than 20,000 characters")


@pytest.mark.parametrize(
    ("pattern", "num_bytes"),
    [
        ("abc", 3),
        (r"\.\u00e9\t", 4),
        ("a[bc]de", 2),
        ("ab?c", 2),
        ("a(?:bcd|e)f", 4),
        ("(?:ab){5}c", 11),
        ("(?:ab){5,}c", 11),
        ("(?:ab){2,5}", 4),
        ("(?:a[bc]d){5}", 2),
        ("x{3}(?:y{2}z){2}", 9),
        ("^a$", 1),
        ("", 0),
    ],
)
def test_the_longest_text_without_a_choice_is_counted_in_bytes(
    pattern: str, num_bytes: int
) -> None:
    assert fixed_length(parse(pattern, ASCII_ONLY).root) == num_bytes


@pytest.mark.parametrize("pattern", ["a{8193}", "x?(?:ab){4097}", "(?:\U0001f600){2049}"])
def test_a_pattern_that_prescribes_a_long_text_is_rejected(pattern: str) -> None:
    check_rejected(pattern, "it prescribes a text of more than 8,192 bytes")
