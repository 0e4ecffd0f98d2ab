"""Rendered patterns match what Python matches with the ASCII flag."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.structured.regex import PatternError, whole_patterns
from friendli_endpoint.generation import RequestError
from tests.chat.structured.regex.helpers import check_matches, check_rejected
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk

_ATOMS = [
    *("a", "b", "1", "é", r"\$", r"\.", "-", " ", r"\^", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S"),
    *(".", "[ab]", "[^a]", r"[\d_]", r"[^\d]", r"[^\W]", r"[\Sa]", "[a-]", "[$]", r"[\w.-]"),
    *(r"[^\s,]", r"\x61", r"\u00e9", r"\t", r"[\n]"),
]
_COUNTS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,3}", "*?", "{1,}"])


def _sequences(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeated = st.tuples(inner, _COUNTS).map("".join)
    sequence = st.lists(repeated, max_size=3).map("".join)
    anchored = st.tuples(st.sampled_from(["", "", "^"]), sequence, st.sampled_from(["", "", "$"]))
    return st.lists(anchored.map("".join), min_size=1, max_size=3).map("|".join)


_INNER = st.recursive(
    st.sampled_from(_ATOMS),
    lambda inner: _sequences(inner).map(lambda pattern: f"({pattern})"),
    max_leaves=6,
)
PATTERNS = _sequences(_INNER)
TEXTS = st.text(alphabet="ab1 _-$^.\té²\u0660\u00a0K,", max_size=5)


@settings(max_examples=250, deadline=None)
@given(PATTERNS, st.lists(TEXTS, min_size=6, max_size=6))
def test_a_pattern_matches_the_whole_output_as_in_python(pattern: str, texts: list[str]) -> None:
    try:
        whole_patterns(pattern)
    except PatternError as error:
        assert "anchor" in str(error)
        return
    try:
        COMPILER.regex(pattern, ENDS, "r")
    except RequestError as error:
        assert "no output satisfies it" in error.message or "empty" in error.message
        assert not any(re.fullmatch(pattern, text, re.ASCII) for text in texts)
        return
    for text in texts:
        expected = re.fullmatch(pattern, text, re.ASCII) is not None
        assert allows_text(COMPILER.regex(pattern, ENDS, "r"), text) == expected, text


@settings(max_examples=250, deadline=None)
@given(PATTERNS, st.lists(TEXTS, min_size=6, max_size=6))
def test_a_pattern_in_a_schema_is_searched_as_in_every_dialect(
    pattern: str, texts: list[str]
) -> None:
    schema = {"type": "string", "pattern": pattern}
    try:
        COMPILER.json_schema(schema, ENDS, "s")
    except RequestError as error:
        assert error.param == "s.pattern"
        return
    for text in texts:
        found = all(re.search(pattern, text, flag) for flag in (re.ASCII, re.UNICODE))
        is_allowed = allows_text(
            COMPILER.json_schema(schema, ENDS, "s"), f'"{text}"'.replace("\t", "\\t")
        )
        assert found or not is_allowed, text
        if text.isascii():
            assert is_allowed == found, text


@pytest.mark.parametrize(
    ("pattern", "matching", "other_texts"),
    [
        ("^a|b$", ["a", "b"], ["ab", "a$", "ax", "xb"]),
        ("(^a|b)c", ["ac", "bc"], ["c", "xbc"]),
        ("^(yes|no)$", ["yes", "no"], ["yesno", ""]),
    ],
)
def test_patterns_match_as_written(
    pattern: str, matching: list[str], other_texts: list[str]
) -> None:
    check_matches(pattern, matching, other_texts)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("a^b", "anchor"),
        ("a$b", "anchor"),
    ],
)
def test_unsupported_patterns_are_rejected_with_the_reason(pattern: str, message: str) -> None:
    check_rejected(pattern, message)


def test_a_pattern_that_is_too_complex_is_rejected() -> None:
    with pytest.raises(RequestError, match="too much work"):
        COMPILER.regex("(a?){500}a{500}", ENDS, "r")


def test_a_pattern_that_is_too_long_is_rejected() -> None:
    with pytest.raises(RequestError, match="16,384"):
        COMPILER.regex("a" * 16_385, ENDS, "r")


@pytest.mark.parametrize("seed", range(20))
def test_random_outputs_match_the_pattern(seed: int) -> None:
    pattern = r"^(\+\d{1,3} )?(\d{3}-){2}\d{4}( ext\. [^\s]+)?$|none"
    out = walk(COMPILER.regex(pattern, ENDS, "r"), seed)
    assert out is None or re.fullmatch(pattern, out, re.ASCII)
