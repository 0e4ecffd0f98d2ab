"""Forms: the outcomes "match" and "no match" never change with more text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.chat.tools.form import (
    MAX_SPACE,
    MAX_WORD,
    Ahead,
    Form,
    FormMatch,
    Name,
    OneOf,
    Outcome,
    Part,
    Run,
    Space,
    Word,
)

DIGITS = Run(frozenset("012"), 1, 3)
NAMES = Name.of(["get", "get_all", "g"])


@pytest.mark.parametrize(
    ("parts", "text", "outcome"),
    [
        (("ab",), "abc", FormMatch(2)),
        (("ab",), "a", "maybe"),
        (("ab",), "", "maybe"),
        (("ab",), "ac", None),
        (("a", Ahead("{")), "a{", FormMatch(1)),
        (("a", Ahead("{")), "a", "maybe"),
        (("a", Ahead("{")), "a(", None),
        ((Space(), "a"), "a", FormMatch(1)),
        ((Space(), "a"), " \t\r\n", "maybe"),
        ((Space(), "a"), "\u00a0a", None),
        ((OneOf(("json", "code", "")), "a"), "codea", FormMatch(5)),
        ((OneOf(("json", "code", "")), "a"), "a", FormMatch(1)),
        ((OneOf(("json", "code", "")), "a"), "js", "maybe"),
        ((OneOf(("json", "code", "")), "a"), "jsa", None),
        ((NAMES, OneOf(("!", "")), "a"), "get!a", FormMatch(5, "get")),
        ((DIGITS, "a"), "012a", FormMatch(4)),
        ((DIGITS, "a"), "a", None),
        ((DIGITS, "a"), "0120a", None),
        ((DIGITS, "a"), "01", "maybe"),
        ((NAMES, "("), "get(", FormMatch(4, "get")),
        ((NAMES, "("), "get_all(", FormMatch(8, "get_all")),
        ((NAMES, "("), "get_a", "maybe"),
        ((NAMES, "("), "g(", FormMatch(2, "g")),
        ((NAMES, "("), "gets(", None),
        ((Word(frozenset("=,")), "="), "ab=1", FormMatch(3, "ab")),
        ((Word(frozenset("=,")), "="), "ab,", None),
        ((Word(frozenset("=,")), "="), "=", None),
        ((Word(frozenset("=,")), "="), "ab", "maybe"),
    ],
)
def test_a_form_matches_the_beginning_of_a_text(
    parts: tuple[Part, ...], text: str, outcome: Outcome
) -> None:
    assert Form(*parts).match(text) == outcome


def test_a_form_matches_from_an_index_on() -> None:
    assert Form(NAMES, "(").match("a get(", 2) == FormMatch(6, "get")
    assert Form(NAMES, "(").match("a get(", 1) is None


def test_the_text_of_a_name_may_differ_from_the_name() -> None:
    assert Form(Name((('"a"', "a"), ("'a'", "a"))), ":").match("'a':") == FormMatch(4, "a")


def test_white_space_is_limited() -> None:
    form = Form("a", Space(), "b")
    assert form.match("a" + " " * MAX_SPACE + "b") == FormMatch(MAX_SPACE + 2)
    assert form.match("a" + " " * (MAX_SPACE + 1)) is None
    assert form.match("a" + " " * MAX_SPACE) == "maybe"


def test_the_length_of_a_word_is_limited() -> None:
    form = Form(Word(frozenset("=")), "=")
    assert form.match("a" * MAX_WORD + "=") == FormMatch(MAX_WORD + 1, "a" * MAX_WORD)
    assert form.match("a" * MAX_WORD) == "maybe"
    assert form.match("a" * (MAX_WORD + 1)) is None


LETTERS = "ab "
TEXTS = st.text(alphabet=LETTERS, min_size=1, max_size=3)
PARTS: st.SearchStrategy[Part] = st.one_of(
    TEXTS,
    st.just(Space()),
    st.builds(Run, st.sets(st.sampled_from(LETTERS)).map(frozenset), st.just(1), st.just(2)),
    st.lists(TEXTS, min_size=1, max_size=3).map(Name.of),
    st.builds(Word, st.sets(st.sampled_from(LETTERS), min_size=1).map(frozenset)),
)
ENDS = TEXTS | TEXTS.map(Ahead)


@given(st.lists(PARTS, max_size=4), ENDS, st.text(alphabet=LETTERS, max_size=8))
def test_a_certain_outcome_does_not_change_with_more_text(
    parts: list[Part], end: str | Ahead, text: str
) -> None:
    form = Form(*parts, end)
    certain: list[Outcome] = []
    for length in range(len(text) + 1):
        outcome = form.match(text[:length])
        if certain or outcome != "maybe":
            certain.append(outcome)
    assert len(set(certain)) <= 1
