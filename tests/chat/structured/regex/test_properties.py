r"""`\p{…}` and `\P{…}` match what ECMA 262 says, in every version of Unicode."""

import json
from unicodedata import category

import pytest

from friendli_endpoint.chat.structured.regex import search_pattern
from friendli_endpoint.chat.structured.regex.cursor import Cursor
from friendli_endpoint.chat.structured.regex.properties import parse_property
from friendli_endpoint.chat.structured.regex.ranges import parse_ranges
from tests.chat.structured.json_schema.helpers import Schema, error_of
from tests.chat.structured.regex.helpers import check_matches, check_rejected
from tests.chat.structured.walks import COMPILER, ENDS, allows_text, walk

UNASSIGNED = "\u0378"
RECLASSIFIED = "\u0295\U0001171e"
CHARACTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
CATEGORIES = [category(character) for character in CHARACTERS]


def _characters(source: str) -> set[str]:
    return {chr(code) for low, high in parse_ranges(f"[{source}]") for code in range(low, high + 1)}


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "name",
    ["C", "Cc", "L", "Lu", "Ll", "Lo", "M", "Mn", "N", "Nd", "P", "Pd", "S", "Sc", "Z", "Zs"],
)
def test_a_category_has_the_characters_that_unicodedata_says(name: str) -> None:
    found = parse_property(Cursor(f"p{{{name}}}"))
    unassigned, members = set(), set()
    for character, kind in zip(CHARACTERS, CATEGORIES, strict=True):
        if kind == "Cn" or character in RECLASSIFIED:
            unassigned.add(character)
        elif kind.startswith(name):
            members.add(character)
    assert _characters(found.narrow) == members
    assert _characters(found.wide) == members | unassigned
    assert _characters(found.ambiguous) == unassigned


@pytest.mark.parametrize(
    ("pattern", "matching", "other_texts"),
    [
        (r"\p{L}+", ["é", "漢a", "ß"], ["1", "-", "", UNASSIGNED]),
        (r"\P{L}+", ["1-", " "], ["a", "é", UNASSIGNED]),
        (r"\p{Ll}", ["a"], ["A", "\u0295"]),
        (r"\P{Ll}", ["A"], ["a", "\u0295"]),
        (r"[^\p{L}]", ["1"], ["a", UNASSIGNED]),
        (r"[^\P{L}]", ["é"], ["1", UNASSIGNED]),
        (r"[\p{Lu}\d_-]+", ["A1_É-"], ["a", "é", ""]),
        (r"[\P{Lu}A]", ["A", "a", "1"], ["B", "É"]),
        (r"\p{Letter}\p{gc=Nd}\p{General_Category=Punctuation}", ["a1!"], ["a1a", "aa!"]),
        (r"\p{LC}", ["a", "A", "\u01c5"], ["漢"]),
        (r"\p{Nd}", ["1", "\u0661"], ["½"]),
        (r"\p{N}", ["½", "Ⅷ"], ["a"]),
        (r"\p{Sc}\p{Zs}", ["€ ", "$\u00a0"], ["€\n", "a "]),
        (r"\p{Script=Greek}+", ["αβγ"], ["abc", "д", ""]),
        (r"[\p{sc=Cyrl}\p{Latin} ]+", ["да yes"], ["αβγ", "1"]),
        (r"\p{Han}+", ["漢字"], ["かな", "한"]),
        (r"[\p{Hangul}\p{Hira}\p{Katakana}]+", ["한かカ"], ["漢"]),
        (r"\P{Greek}", ["a", "漢"], ["λ", UNASSIGNED]),
        (r"[^\p{Latin}]", ["λ", "1"], ["a", "é", UNASSIGNED]),
        (r"(?=.*\p{Lu})(?=.*\p{Nd}).{3,}", ["aB1", "É1x"], ["ab1", "AB"]),
        (r"(?!\p{P})\p{L}*", ["ab", ""], ["!a"]),
    ],
)
def test_patterns_match_as_written(
    pattern: str, matching: list[str], other_texts: list[str]
) -> None:
    check_matches(pattern, matching, other_texts)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"\p{Foo}", r"\p{Foo} at position 0 is a Unicode property that is not supported"),
        (r"a[\P{Script=Foo}]", r"\P{Script=Foo} at position 2"),
        (r"\p{Script=Lu}", "not supported"),
        (r"\p{gc=Greek}", "not supported"),
        (r"\p{lu}", "not supported"),
        (r"\p{Cn}", "not supported"),
        (r"\pL", "without a name in braces"),
        (r"\p{^L}", "without a name in braces"),
        (r"(?i)\p{Lu}", "(?i) is not supported with a Unicode property"),
        (r"[a-\p{L}]", "invalid range"),
        (r"\p{L}" * 20, "more than 150,000 characters as ranges"),
        (r"a(?!\p{Greek})", "the script Greek is not supported in the complement"),
    ],
)
def test_unsupported_properties_are_rejected_by_name(pattern: str, message: str) -> None:
    check_rejected(pattern, message)


@pytest.mark.parametrize("pattern", [r"^\p{L}{2,5}$", r"^[\P{L}]{2,5}$", r"^[^\p{L}\p{Nd}]{1,4}$"])
def test_random_strings_have_only_characters_that_match(pattern: str) -> None:
    allowed = {r"^\p{L}{2,5}$": "L"}.get(pattern, "CMNPSZ")
    for seed in range(10):
        constraint = COMPILER.json_schema({"type": "string", "pattern": pattern}, ENDS, "s")
        text = walk(constraint, seed)
        assert text is not None
        kinds = {category(character) for character in json.loads(text)}
        assert all(kind[0] in allowed and kind != "Cn" for kind in kinds)


def test_properties_are_supported_in_negations_and_names() -> None:
    negated: Schema = {"type": "string", "not": {"pattern": r"\p{L}"}}
    named: Schema = {
        "type": "object",
        "patternProperties": {r"^\p{Lu}": {"type": "integer"}, r"^\p{Ll}": {"type": "null"}},
        "additionalProperties": False,
    }
    expected = [(negated, '"12"', True), (negated, '"1é"', False)]
    expected += [(named, '{"É": 1}', True), (named, '{"é": null}', True)]
    expected += [(named, '{"é": 1}', False), (named, '{"É": null}', False)]
    expected += [(named, f'{{"{UNASSIGNED}": null}}', False)]
    for schema, text, is_valid in expected:
        assert allows_text(COMPILER.json_schema(schema, ENDS, "s"), text) == is_valid, text


def test_the_properties_of_a_schema_are_bounded() -> None:
    schema = {"properties": {f"a{n}": {"pattern": r"\p{L}[\P{N}_]"} for n in range(101)}}
    assert "more than 200 Unicode properties" in error_of(schema).message
    named = {r"^\p{Lu}" + "[ab]" * 500: {"type": "integer"}}
    error = error_of({"patternProperties": named, "additionalProperties": {"type": "null"}})
    assert error.param == "s.patternProperties"
    assert "too long beside a Unicode property" in error.message


def test_look_ahead_between_characters_of_names_is_rejected_with_its_path() -> None:
    schema = {"patternProperties": {"^x(?=a)": {}}, "additionalProperties": {"type": "null"}}
    assert error_of(schema).param == "s.patternProperties"


def test_equal_properties_have_equal_patterns() -> None:
    assert search_pattern(r"\p{Lu}") == search_pattern(r"\p{Uppercase_Letter}")
