"""The state machine: which rule is followed, what waits, and what is given out as text."""

import pytest

from friendli_endpoint.chat.tools import CallArguments, CallBegin, CallEnd, Text
from friendli_endpoint.chat.tools.arguments import JsonArguments, Read
from friendli_endpoint.chat.tools.form import MOST_SPACE, Ahead, Form, Name, Space
from friendli_endpoint.chat.tools.parser import AFTER, START, TAIL, TEXT, FormParser, Rule, Table

NAMES = Name.of(["f", "fg"])


def call(*before: str | Space, then: str = TAIL) -> Rule:
    return Rule(Form(*before, NAMES, Ahead("{")), then, JsonArguments)


TABLE: Table = {
    START: (call(Space(), "<"),),
    TEXT: (call("<"),),
    TAIL: (Rule(Form(Space(), ">>"), AFTER),),
    AFTER: (call(Space(), "<"),),
}


def events(*pieces: str, table: Table = TABLE) -> list[object]:
    parser = FormParser(table)
    return [*(event for piece in pieces for event in parser.feed(piece)), *parser.finish()]


WHOLE = [CallBegin(0, "f"), CallArguments(0, "{}"), CallEnd(0)]


def test_text_goes_out_at_once_up_to_what_may_begin_a_call() -> None:
    parser = FormParser(TABLE)
    assert parser.feed("a") == [Text("a")]
    assert parser.feed("b <") == [Text("b ")]
    assert parser.feed("f") == []
    assert parser.feed("!") == [Text("<f!")]
    assert parser.finish() == []


def test_nothing_comes_of_an_empty_piece() -> None:
    parser = FormParser(TABLE)
    assert parser.feed("") == []
    parser.feed("<f")
    assert parser.feed("") == []
    assert parser.finish() == [Text("<f")]


def test_a_call_is_told_as_soon_as_it_is_certain() -> None:
    parser = FormParser(TABLE)
    assert parser.feed(" <f") == []
    assert parser.feed('{"a') == [CallBegin(0, "f"), CallArguments(0, '{"a')]
    assert parser.feed('":1}') == [CallArguments(0, '":1}'), CallEnd(0)]
    assert parser.feed(">") == []
    assert parser.finish() == []


def test_calls_are_numbered_and_white_space_between_them_is_no_text() -> None:
    assert events("<f{}>> \n<fg{}>>\n") == [
        *WHOLE,
        CallBegin(1, "fg"),
        CallArguments(1, "{}"),
        CallEnd(1),
    ]


def test_white_space_before_text_that_follows_a_call_is_text() -> None:
    assert events("<f{}>>\n\nDone <f") == [*WHOLE, Text("\n\nDone "), Text("<f")]


def test_more_white_space_than_a_form_takes_is_text() -> None:
    assert events("<f{}>>" + " " * MOST_SPACE) == WHOLE
    more = " " * (MOST_SPACE + 1)
    assert events("<f{}>>", more) == [*WHOLE, Text(more)]


@pytest.mark.parametrize("rest", ["", ">", " ", "\n>", " >>", " >> \n"])
def test_an_ending_that_was_cut_off_is_no_text(rest: str) -> None:
    assert events("<f{}" + rest) == WHOLE


def test_a_call_that_is_not_closed_leaves_the_rest_as_text() -> None:
    assert events("<f{} > x <f{}") == [
        *WHOLE,
        Text(" > x "),
        CallBegin(1, "f"),
        CallArguments(1, "{}"),
        CallEnd(1),
    ]


def test_a_head_that_was_cut_off_is_text() -> None:
    assert events("<fg") == [Text("<fg")]
    assert events("<f{}>> <f") == [*WHOLE, Text(" <f")]


def test_arguments_that_were_cut_off_have_no_end() -> None:
    assert events('<f{"a": ') == [CallBegin(0, "f"), CallArguments(0, '{"a": ')]


def test_the_first_rule_that_matches_is_followed() -> None:
    table = {START: (Rule(Form("a"), "first"), Rule(Form("ab"), "second")), "first": ()}
    assert events("ab", table=table) == [Text("b")]


def test_a_rule_waits_for_one_before_it_that_may_yet_match() -> None:
    table = {START: (Rule(Form("ab"), TEXT), Rule(Form("a"), "other")), "other": ()}
    parser = FormParser(table)
    assert parser.feed("a") == []
    assert parser.feed("b") == []
    assert parser.feed("x") == [Text("x")]
    assert events("a", table=table) == [], "the end decides for the one that matches"


def test_a_state_without_rules_is_text() -> None:
    assert events("<f{}", table={}) == [Text("<f{}")]


class Broken:
    """Arguments that break off behind their first character."""

    def __init__(self, _name: str) -> None: ...

    def read(self, text: str) -> Read:
        return Read(1, text[:1], broken=True)


def test_behind_arguments_that_break_off_there_is_text_in_which_calls_may_come() -> None:
    table = {**TABLE, START: (Rule(Form(NAMES, Ahead("{")), TAIL, Broken),)}
    assert events("f{ <f{}>>", table=table) == [
        CallBegin(0, "f"),
        CallArguments(0, "{"),
        Text(" "),
        CallBegin(1, "f"),
        CallArguments(1, "{}"),
        CallEnd(1),
    ]


def test_the_earliest_form_in_text_is_found_whatever_its_order_among_rules() -> None:
    table = {START: (), TEXT: (call("##", then=AFTER), call("<", then=AFTER)), AFTER: ()}
    assert events("a <f{}", table=table) == [Text("a "), *WHOLE]
    assert events("a <# <f{}", table=table) == [Text("a <# "), *WHOLE]
