"""Look-ahead in patterns: never wider than in Python, and equal where dialects agree."""

import json
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.structured.regex import (
    PatternError,
    loose_pattern,
    search_pattern,
    search_patterns,
    whole_patterns,
)
from friendli_endpoint.generation import RequestError
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk

EMAIL_OF_ZOD = (
    r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]"
    r"@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$"
)
DURATION_OF_ZOD = (
    r"^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?"
    r"(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?)$"
)
DECIMAL_OF_PYDANTIC = r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"
PASSWORD = r"^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[^\w\s]).{8,}$"

_ATOMS = st.sampled_from(["a", "b", "1", "-", ".", "[ab]", "[^a]", r"\d", r"\w", r"\W", r"\n"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    groups = st.lists(inner, min_size=1, max_size=2).map(lambda options: f"({'|'.join(options)})")
    repeated = st.tuples(_ATOMS | groups, st.sampled_from(["*", "+", "?", "{1,2}", "{0}", "*?"]))
    looks = st.tuples(st.sampled_from(["(?=", "(?!"]), inner, st.sampled_from([")", "$)"]))
    parts = st.one_of(_ATOMS, groups, repeated.map("".join), looks.map("".join))
    return st.lists(parts, min_size=1, max_size=4).map("".join)


PATTERNS = st.tuples(
    st.sampled_from(["", "^", "^", "(?i)^"]),
    st.recursive(_ATOMS, _larger, max_leaves=6),
    st.sampled_from(["", "$"]),
).map("".join)
TEXTS = st.lists(st.text("aAb1-\n", max_size=6), min_size=4, max_size=4)


@given(PATTERNS, TEXTS)
@settings(max_examples=400)
def test_a_pattern_matches_whole_texts_as_python_does(pattern: str, texts: list[str]) -> None:
    try:
        constraint = COMPILER.regex(pattern, ENDS, "r")
    except RequestError:
        assume(False)
    expected = re.compile(pattern, re.ASCII)
    for text in texts:
        is_allowed = allows_text(constraint.copy(), text)
        matches = expected.fullmatch(text) is not None
        # Before a final line feed, Python's `$` matches, which other dialects do not accept.
        agree = "$" not in pattern or "\n" not in text
        assert is_allowed == matches if agree else is_allowed <= matches
    for seed in range(2):
        output = walk(constraint.copy(), seed, 60)
        assert output is None or expected.fullmatch(output)


@given(PATTERNS, TEXTS)
@settings(max_examples=400)
def test_a_pattern_in_a_schema_is_searched_as_python_does(pattern: str, texts: list[str]) -> None:
    schema = {"type": "string", "pattern": pattern}
    try:
        constraint = COMPILER.json_schema(schema, ENDS, "s")
    except RequestError:
        assume(False)
    expected = re.compile(pattern)
    for text in texts:
        is_allowed = allows_text(constraint.copy(), json.dumps(text))
        matches = expected.search(text) is not None
        assert is_allowed == matches if "\n" not in text else is_allowed <= matches
    for seed in range(2):
        output = walk(constraint.copy(), seed, 60)
        assert output is None or expected.search(json.loads(output))


@pytest.mark.parametrize(
    ("pattern", "valid", "invalid"),
    [
        (
            EMAIL_OF_ZOD,
            ["a.b@c.org", "x_y+z@mail.c.org"],
            [".a@c.org", "a..b@c.org", "a@c", "a.@c.de"],
        ),
        (
            DURATION_OF_ZOD,
            ["P1D", "P3W", "PT1H30M", "P1Y2M"],
            ["P", "PT", "P1D2W", "P1YT", "P1W2D"],
        ),
        (DECIMAL_OF_PYDANTIC, ["-0.5", ".5", "12.", "007"], ["", "-", "+.", "1e5"]),
        (PASSWORD, ["aB3-aaaa", "________1aB!"], ["aB3-aaa", "ab3-aaaa", "aB3aaaaa", "AB3-AAAA"]),
        ("^(?!admin$)[a-z]{3,16}$", ["admins", "adm", "root"], ["admin", "ad"]),
        ("^(?=.{3,5}$)(?:[a-z]+-)*[a-z]+$", ["abc", "a-b-c"], ["ab", "a-b-cd"]),
        ("^(?:(?!--)[a-z-])+$", ["a-b", "-"], ["a--b", ""]),
        ("^(?:(?=a)[ab]{2}|(?!a)[ab]{3})$", ["ab", "baa"], ["ba", "aba"]),
        ("x(?=y)", ["xy", "axya"], ["x", "yx", "xz"]),
        ("^((?!foo).)*$", ["", "fo", "ofo"], ["foo", "a foo"]),
    ],
)
def test_patterns_of_libraries_and_rules_are_enforced(
    pattern: str, valid: list[str], invalid: list[str]
) -> None:
    schema = {"type": "string", "pattern": pattern}
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    for text in valid + invalid:
        assert (re.search(pattern, text) is not None) == (text in valid)
        assert allows_text(constraint.copy(), json.dumps(text)) == (text in valid), text
    for seed in range(30):
        output = walk(constraint.copy(), seed)
        assert output is None or re.search(pattern, json.loads(output))


def test_a_large_leading_look_ahead_is_an_intersection_of_patterns() -> None:
    assert len(search_patterns(PASSWORD)) == 5
    assert len(whole_patterns(PASSWORD)) == 5
    assert len(search_patterns("^(?=.{3,90}$)(?!a{80})[a-c]+$")) == 3
    assert len(search_patterns("^(?=.*a)(?!b).*")) == 1
    assert len(search_patterns("(?=.*a{99}).*")) == 1


@pytest.mark.parametrize("pattern", [EMAIL_OF_ZOD, r"^(?!.*\.\.).+@.+$"])
def test_look_ahead_beside_a_format_is_enforced(pattern: str) -> None:
    schema = {"type": "string", "format": "email", "pattern": pattern}
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    assert allows_text(constraint.copy(), '"ann@example.org"')
    assert not allows_text(constraint.copy(), '"ann@"')
    assert not allows_text(constraint.copy(), '"a..n@example.org"')


def test_one_pattern_where_only_one_is_possible() -> None:
    schema = {
        "type": "object",
        "patternProperties": {"^(?!x-)[a-z-]{3}$": {"type": "null"}},
        "additionalProperties": False,
        "minProperties": 0,
    }
    constraint = COMPILER.json_schema(schema, ENDS, "s")
    assert allows_text(constraint.copy(), '{"a-x": null}')
    assert not allows_text(constraint.copy(), '{"x-a": null}')
    assert search_pattern("^(?!a)[ab]$") == loose_pattern("^(?!a)[ab]$")[: len("[b]")]


def test_counts_stay_counts_in_a_pattern_without_look_ahead() -> None:
    pattern = "^(?!aws:)[a-z:]{1,128}$"
    assert len(search_pattern(pattern)) < 400
    constraint = COMPILER.json_schema({"type": "string", "pattern": pattern}, ENDS, "s")
    for text, is_valid in (("a" * 128, True), ("a" * 129, False), ("aws:", False), ("aws", True)):
        assert allows_text(constraint.copy(), f'"{text}"') is is_valid


def test_negated_classes_are_wide_where_dialects_differ() -> None:
    constraint = COMPILER.json_schema({"type": "string", "pattern": r"^(?!\d).$"}, ENDS, "s")
    assert allows_text(constraint.copy(), '"x"')
    assert not allows_text(constraint.copy(), '"7"')
    assert not allows_text(constraint.copy(), '"\u0667"')  # A digit for Python.


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?<=a)b", "look-behind"),
        ("(?<!a)b", "look-behind"),
        (r"^(?=(a))\1", "back-reference"),
        ("(?=a)+b", "a repeated look-ahead"),
        ("^(?=a)b$|c(?=a)b", "no text matches it"),
        ("^x(?!(?=a.c)[ab].[cd])ab", "look-ahead inside a negative look-ahead"),
        ("^(x|" + "".join(f"(?=.*{digit})" for digit in range(10)) + ".{9,50})$", "too complex"),
        ("^x(?=a{3000}).*", "too complex"),
        ("^(?!" + "a?" * 900 + "b)", "too complex"),
    ],
)
def test_what_is_not_regular_or_too_large_is_rejected(pattern: str, reason: str) -> None:
    for rewrite in (whole_patterns, search_patterns, search_pattern):
        with pytest.raises(PatternError, match=reason):
            rewrite(pattern)
