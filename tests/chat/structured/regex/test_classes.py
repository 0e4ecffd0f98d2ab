"""Classes hold what they hold in every dialect; broken ones are named."""

import pytest

from tests.chat.structured.regex.helpers import check_meaning, check_named


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("[$]", ["$"], [""]),
        (r"\d+", ["12"], ["١٢", ""]),
        (r"\w", ["_"], ["é"]),
        (r"\s", ["\t"], ["\u00a0"]),
        (".", ["é", "\r"], ["\n"]),
        (r"[\]a-]", ["]", "-"], ["b"]),
    ],
)
def test_patterns_mean_what_they_say(pattern: str, yes: list[str], no: list[str]) -> None:
    check_meaning(pattern, yes, no)


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("[a", "unclosed ["),
        ("[]a]", "empty class"),
        ("[[:alpha:]]", "class in a class"),
        ("[z-a]", "range"),
    ],
)
def test_what_cannot_be_enforced_is_named(pattern: str, named: str) -> None:
    check_named(pattern, named)
