"""Single characters stand for themselves, however written; other escapes are named."""

import pytest

from tests.chat.structured.regex.helpers import check_meaning, check_named


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"a\$", ["a$"], ["a", "a\\"]),
        (r"a\\$", ["a\\"], ["a\\$", "a$"]),
        (r"\ud83d\ude42", ["🙂"], [""]),
    ],
)
def test_patterns_mean_what_they_say(pattern: str, yes: list[str], no: list[str]) -> None:
    check_meaning(pattern, yes, no)


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        (r"(a)\1", "back-reference"),
        (r"\k<n>", "back-reference"),
        (r"\p{L}", "Unicode property"),
        (r"[\P{L}]", "Unicode property"),
        (r"\N{DASH}", "named character"),
        (r"\bword", "word boundary"),
        (r"\Aa\Z", "anchor"),
        ("a\\", "backslash"),
        (r"\ud800", "surrogate"),
        (r"\q", "dialects"),
        (r"\07", "octal"),
    ],
)
def test_what_cannot_be_enforced_is_named(pattern: str, named: str) -> None:
    check_named(pattern, named)
