"""What the compiler is given matches as Python, with its ASCII classes, does."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.structured.regex import PatternError, whole_pattern
from friendli_endpoint.generation import RequestError
from tests.chat.structured.regex.helpers import check_meaning, check_named
from tests.chat.structured.walking import COMPILER, ENDS, follows, walk

_ATOMS = [
    *("a", "b", "1", "é", r"\$", r"\.", "-", " ", r"\^", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S"),
    *(".", "[ab]", "[^a]", r"[\d_]", r"[^\d]", r"[^\W]", r"[\Sa]", "[a-]", "[$]", r"[\w.-]"),
    *(r"[^\s,]", r"\x61", r"\u00e9", r"\t", r"[\n]"),
]
_COUNTS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,3}", "*?", "{1,}"])


def _sequences(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pieces = st.tuples(inner, _COUNTS).map("".join)
    sequence = st.lists(pieces, max_size=3).map("".join)
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
def test_the_whole_output_matches_as_in_python(pattern: str, texts: list[str]) -> None:
    try:
        whole_pattern(pattern)
    except PatternError as error:
        assert "anchor" in str(error)
        return
    try:
        COMPILER.regex(pattern, ENDS, "r")
    except RequestError as refusal:
        assert "nothing satisfies it" in refusal.message or "empty" in refusal.message
        assert not any(re.fullmatch(pattern, text, re.ASCII) for text in texts)
        return
    for text in texts:
        expected = re.fullmatch(pattern, text, re.ASCII) is not None
        assert follows(COMPILER.regex(pattern, ENDS, "r"), text) == expected, text


@settings(max_examples=250, deadline=None)
@given(PATTERNS, st.lists(TEXTS, min_size=6, max_size=6))
def test_a_schemas_pattern_is_found_somewhere_by_every_dialect(
    pattern: str, texts: list[str]
) -> None:
    schema = {"type": "string", "pattern": pattern}
    try:
        COMPILER.json_schema(schema, ENDS, "s")
    except RequestError as refusal:
        assert refusal.param == "s.pattern"
        return
    for text in texts:
        found = all(re.search(pattern, text, flag) for flag in (re.ASCII, re.UNICODE))
        taken = follows(COMPILER.json_schema(schema, ENDS, "s"), f'"{text}"'.replace("\t", "\\t"))
        assert found or not taken, text
        if text.isascii():
            assert taken == found, text


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("^a|b$", ["a", "b"], ["ab", "a$", "ax", "xb"]),
        ("(^a|b)c", ["ac", "bc"], ["c", "xbc"]),
        ("^(yes|no)$", ["yes", "no"], ["yesno", ""]),
    ],
)
def test_patterns_mean_what_they_say(pattern: str, yes: list[str], no: list[str]) -> None:
    check_meaning(pattern, yes, no)


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("a^b", "anchor"),
        ("a$b", "anchor"),
    ],
)
def test_what_cannot_be_enforced_is_named(pattern: str, named: str) -> None:
    check_named(pattern, named)


def test_a_pattern_that_explodes_is_refused() -> None:
    with pytest.raises(RequestError, match="too much work"):
        COMPILER.regex("(a?){500}a{500}", ENDS, "r")


def test_a_pattern_is_bounded_in_length() -> None:
    with pytest.raises(RequestError, match="16,384"):
        COMPILER.regex("a" * 16_385, ENDS, "r")


@pytest.mark.parametrize("seed", range(20))
def test_outputs_match(seed: int) -> None:
    pattern = r"^(\+\d{1,3} )?(\d{3}-){2}\d{4}( ext\. [^\s]+)?$|none"
    out = walk(COMPILER.regex(pattern, ENDS, "r"), seed)
    assert out is None or re.fullmatch(pattern, out, re.ASCII)
