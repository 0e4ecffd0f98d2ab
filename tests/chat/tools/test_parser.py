"""The state machine: the rules it follows, and the text it holds back and outputs."""

import pytest

from friendli_endpoint.chat.tools import CallArguments, CallBegin, CallEnd, CallReasoning, CallText
from friendli_endpoint.chat.tools.arguments import JsonArguments, Read
from friendli_endpoint.chat.tools.form import MAX_SPACE, Ahead, Form, Name, Space
from friendli_endpoint.chat.tools.parser import (
    AFTER,
    REASONING,
    START,
    TAIL,
    TEXT,
    FormParser,
    Rule,
    Table,
)

NAMES = Name.of(["f", "fg"])


def call(*before: str | Space, then: str = TAIL) -> Rule:
    return Rule(Form(*before, NAMES, Ahead("{")), then, JsonArguments)


TABLE: Table = {
    START: (call(Space(), "<"),),
    TEXT: (call("<"),),
    TAIL: (Rule(Form(Space(), ">>"), AFTER),),
    AFTER: (call(Space(), "<"),),
}


def events(*chunks: str, table: Table = TABLE) -> list[object]:
    parser = FormParser(table)
    return [*(event for chunk in chunks for event in parser.feed(chunk)), *parser.finish()]


WHOLE = [CallBegin(0, "f"), CallArguments(0, "{}"), CallEnd(0)]


def test_text_is_output_at_once_up_to_a_possible_call() -> None:
    parser = FormParser(TABLE)
    assert parser.feed("a") == [CallText("a")]
    assert parser.feed("b <") == [CallText("b ")]
    assert parser.feed("f") == []
    assert parser.feed("!") == [CallText("<f!")]
    assert parser.finish() == []


def test_an_empty_chunk_has_no_effect() -> None:
    parser = FormParser(TABLE)
    assert parser.feed("") == []
    parser.feed("<f")
    assert parser.feed("") == []
    assert parser.finish() == [CallText("<f")]


def test_a_call_is_output_as_soon_as_it_is_certain() -> None:
    parser = FormParser(TABLE)
    assert parser.feed(" <f") == []
    assert parser.feed('{"a') == [CallBegin(0, "f"), CallArguments(0, '{"a')]
    assert parser.feed('":1}') == [CallArguments(0, '":1}'), CallEnd(0)]
    assert parser.feed(">") == []
    assert parser.finish() == []


def test_calls_are_numbered_and_white_space_between_them_is_dropped() -> None:
    assert events("<f{}>> \n<fg{}>>\n") == [
        *WHOLE,
        CallBegin(1, "fg"),
        CallArguments(1, "{}"),
        CallEnd(1),
    ]


def test_white_space_before_text_that_follows_a_call_is_text() -> None:
    assert events("<f{}>>\n\nDone <f") == [*WHOLE, CallText("\n\nDone "), CallText("<f")]


def test_more_white_space_than_a_form_allows_is_text() -> None:
    assert events("<f{}>>" + " " * MAX_SPACE) == WHOLE
    more = " " * (MAX_SPACE + 1)
    assert events("<f{}>>", more) == [*WHOLE, CallText(more)]


@pytest.mark.parametrize("rest", ["", ">", " ", "\n>", " >>", " >> \n"])
def test_a_truncated_ending_is_not_text(rest: str) -> None:
    assert events("<f{}" + rest) == WHOLE


def test_the_rest_after_an_unclosed_call_is_text() -> None:
    assert events("<f{} > x <f{}") == [
        *WHOLE,
        CallText(" > x "),
        CallBegin(1, "f"),
        CallArguments(1, "{}"),
        CallEnd(1),
    ]


def test_a_truncated_head_is_text() -> None:
    assert events("<fg") == [CallText("<fg")]
    assert events("<f{}>> <f") == [*WHOLE, CallText(" <f")]


def test_truncated_arguments_have_no_end() -> None:
    assert events('<f{"a": ') == [CallBegin(0, "f"), CallArguments(0, '{"a": ')]


def test_the_first_rule_that_matches_is_followed() -> None:
    table = {START: (Rule(Form("a"), "first"), Rule(Form("ab"), "second")), "first": ()}
    assert events("ab", table=table) == [CallText("b")]


def test_a_rule_waits_for_an_earlier_rule_that_may_still_match() -> None:
    table = {START: (Rule(Form("ab"), TEXT), Rule(Form("a"), "next")), "next": ()}
    parser = FormParser(table)
    assert parser.feed("a") == []
    assert parser.feed("b") == []
    assert parser.feed("x") == [CallText("x")]
    assert events("a", table=table) == [], "at the end, the rule that matches is followed"


def test_a_state_without_rules_is_text() -> None:
    assert events("<f{}", table={}) == [CallText("<f{}")]


class Broken:
    """Arguments that are invalid after their first character."""

    def __init__(self, _name: str) -> None: ...

    def read(self, text: str) -> Read:
        return Read(1, text[:1], broken=True)


def test_text_after_broken_arguments_may_contain_calls() -> None:
    table = {**TABLE, START: (Rule(Form(NAMES, Ahead("{")), TAIL, Broken),)}
    assert events("f{ <f{}>>", table=table) == [
        CallBegin(0, "f"),
        CallArguments(0, "{"),
        CallText(" "),
        CallBegin(1, "f"),
        CallArguments(1, "{}"),
        CallEnd(1),
    ]


def test_the_earliest_form_in_text_is_followed_regardless_of_the_order_of_rules() -> None:
    table = {START: (), TEXT: (call("##", then=AFTER), call("<", then=AFTER)), AFTER: ()}
    assert events("a <f{}", table=table) == [CallText("a "), *WHOLE]
    assert events("a <# <f{}", table=table) == [CallText("a <# "), *WHOLE]


def test_reasoning_is_output_at_once_up_to_a_possible_form() -> None:
    table: Table = {
        TEXT: (Rule(Form("(("), REASONING),),
        REASONING: (Rule(Form("))"), TEXT), call("<")),
    }
    parser = FormParser(table)
    assert parser.feed("a((b") == [CallText("a"), CallReasoning("b")]
    assert parser.feed("c)") == [CallReasoning("c")]
    assert parser.feed("d") == [CallReasoning(")d")]
    assert parser.feed("))e") == [CallText("e")]
    assert events("((b<f{}", table=table) == [CallReasoning("b"), *WHOLE]
