"""Single characters and their escapes; unsupported escapes are rejected."""

import pytest

from tests.chat.structured.regex.helpers import check_matches, check_rejected


@pytest.mark.parametrize(
    ("pattern", "matching", "other_texts"),
    [
        (r"a\$", ["a$"], ["a", "a\\"]),
        (r"a\\$", ["a\\"], ["a\\$", "a$"]),
        (r"\ud83d\ude42", ["🙂"], [""]),
    ],
)
def test_patterns_match_as_written(
    pattern: str, matching: list[str], other_texts: list[str]
) -> None:
    check_matches(pattern, matching, other_texts)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(a)\1", "back-reference"),
        (r"\k<n>", "back-reference"),
        (r"\N{DASH}", "named character"),
        (r"\bword", "word boundary"),
        (r"\Aa\Z", "anchor"),
        ("a\\", "backslash"),
        (r"\ud800", "surrogate"),
        (r"\q", "dialects"),
        (r"\07", "octal"),
    ],
)
def test_unsupported_patterns_are_rejected_with_the_reason(pattern: str, message: str) -> None:
    check_rejected(pattern, message)
