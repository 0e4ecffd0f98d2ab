"""Groups, alternatives and repetitions mean what they say; what is not served is named."""

import pytest

from tests.chat.structured.regex.helpers import check_meaning, check_named


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("(?i)yes", ["YES", "yEs"], ["YESS"]),
        ("a{,", ["a{,"], ["a"]),
        ("", [""], ["a"]),
        ("a??b+?", ["ab", "bb"], ["a"]),
        ("(?P<x>a)(?<y>b)(?:c)", ["abc"], []),
    ],
)
def test_patterns_mean_what_they_say(pattern: str, yes: list[str], no: list[str]) -> None:
    check_meaning(pattern, yes, no)


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("(?=a)", "look-ahead"),
        ("(?!a)b", "look-ahead"),
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
        ("a{,3}", "least count"),
        ("a{1000000000}", "too large"),
        ("((a{1000}){1000}){1000}", "more than"),
        ("(a", "unclosed ("),
        ("a)", "unmatched )"),
        ("(" * 60 + ")" * 60, "nested deeper"),
        ("(?>a)", "atomic"),
    ],
)
def test_what_cannot_be_enforced_is_named(pattern: str, named: str) -> None:
    check_named(pattern, named)
