"""Classes match what they match in every dialect; invalid classes are rejected."""

import pytest

from tests.chat.structured.regex.helpers import check_matches, check_rejected


@pytest.mark.parametrize(
    ("pattern", "matching", "other_texts"),
    [
        ("[$]", ["$"], [""]),
        (r"\d+", ["12"], ["١٢", ""]),
        (r"\w", ["_"], ["é"]),
        (r"\s", ["\t"], ["\u00a0"]),
        (".", ["é", "\r"], ["\n"]),
        (r"[\]a-]", ["]", "-"], ["b"]),
    ],
)
def test_patterns_match_as_written(
    pattern: str, matching: list[str], other_texts: list[str]
) -> None:
    check_matches(pattern, matching, other_texts)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("[a", "unclosed ["),
        ("[]a]", "an empty class"),
        ("[[:alpha:]]", "class in a class"),
        ("[z-a]", "range"),
    ],
)
def test_unsupported_patterns_are_rejected_with_the_reason(pattern: str, message: str) -> None:
    check_rejected(pattern, message)
