"""Groups, alternatives and repetitions; unsupported constructs are rejected."""

import pytest

from tests.chat.structured.regex.helpers import check_matches, check_rejected


@pytest.mark.parametrize(
    ("pattern", "matching", "other_texts"),
    [
        ("(?i)yes", ["YES", "yEs"], ["YESS"]),
        ("a{,", ["a{,"], ["a"]),
        ("", [""], ["a"]),
        ("a??b+?", ["ab", "bb"], ["a"]),
        ("(?P<x>a)(?<y>b)(?:c)", ["abc"], []),
    ],
)
def test_patterns_match_as_written(
    pattern: str, matching: list[str], other_texts: list[str]
) -> None:
    check_matches(pattern, matching, other_texts)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?=a)*b", "a repeated look-ahead"),
        ("(?!a", "unclosed ("),
        ("(?<=a)b", "look-behind"),
        ("(?<!a)b", "look-behind"),
        (r"(?P<n>a)(?P=n)", "back-reference"),
        ("^*", "repeated anchor"),
        ("(?s).", "flags"),
        ("(?i:a)", "flags"),
        ("a**", "repetition of a repetition"),
        ("a*+", "repetition of a repetition"),
        ("*a", "nothing to repeat"),
        ("a{3,1}", "out of order"),
        ("a{,3}", "no minimum"),
        ("a{1000000000}", "too large"),
        ("((a{1000}){1000}){1000}", "more than"),
        ("(a", "unclosed ("),
        ("a)", "unmatched )"),
        ("(" * 60 + ")" * 60, "nested deeper"),
        ("(?>a)", "atomic"),
    ],
)
def test_unsupported_patterns_are_rejected_with_the_reason(pattern: str, message: str) -> None:
    check_rejected(pattern, message)
