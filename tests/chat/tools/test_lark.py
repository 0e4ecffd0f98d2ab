"""Pieces of Lark mean in the compiler what they say."""

import pytest

from friendli_endpoint.chat.tools import ToolSpec
from friendli_endpoint.chat.tools.lark import (
    ANYTHING,
    SPACES,
    any_but,
    arguments,
    choice,
    escaped,
    is_token,
    json_value,
    marked,
    names_pattern,
    quoted,
    without,
)

from .walk import COMPILER, VOCABULARY, Walk, allowed, as_text, as_token

MARKER = "<tool_call>"


def takes(grammar: str, *output: str | int) -> bool:
    """Whether an output of texts and tokens may be written, and end there."""
    walk = Walk(COMPILER.lark(grammar, VOCABULARY.end_ids, "tools"))
    tokens = [
        token for part in output for token in ([part] if isinstance(part, int) else part.encode())
    ]
    for token in tokens:
        if walk.ended or token not in allowed(walk.state):
            return False
        walk.take(token)
    return walk.ended or VOCABULARY.eos_id in allowed(walk.state)


ODD = ['a"b', "a\\b", "a/b", "a.b", "a*", "(a|b)", "é", "<[5]>", "a b", "#&~-", "%json {}"]


@pytest.mark.parametrize("text", [*ODD, "\n\x00\t"])
def test_a_quoted_text_is_that_text_alone(text: str) -> None:
    assert takes(f"start: {quoted(text)}", text)
    assert not takes(f"start: {quoted(text)}", text[:-1])
    assert not takes(f"start: {quoted(text)}", "x" + text)


@pytest.mark.parametrize("text", ODD)
def test_an_escaped_text_matches_itself_alone(text: str) -> None:
    assert takes(f"start: /{escaped(text)}/", text)
    assert not takes(f"start: /{escaped(text)}/", text.replace(text[1:2], "x"))


def test_names_are_told_apart_where_one_begins_like_another() -> None:
    tools = [ToolSpec(name, None, {}) for name in ("get", "get.all", "now-2")]
    grammar = f"start: /{names_pattern(tools)}\\(/"
    assert all(takes(grammar, f"{tool.name}(") for tool in tools)
    assert not any(takes(grammar, text) for text in ("ge(", "getxall(", "get.all", "now-22("))


def test_spaces_are_as_many_as_the_parsers_take() -> None:
    grammar = f'start: /{SPACES}/ "x"'
    assert takes(grammar, "x") and takes(grammar, " \t\r\n" * 4 + "x")
    assert not takes(grammar, " " * 17 + "x")


def test_anything_is_any_text() -> None:
    assert takes(f"start: T\nT: {ANYTHING}", 'a\n"</b> \U0001f600')


def test_text_without_others_has_none_of_them_anywhere() -> None:
    grammar = f"start: T\nT: {without(['ab', '</x>'])}"
    assert all(takes(grammar, text) for text in ("", "a", "a\nb", "</x", "aa</y>"))
    assert not any(takes(grammar, text) for text in ("ab", "xab", "abx", "a\n</x>b"))


def test_text_that_a_pattern_does_not_match_may_hold_what_it_matches() -> None:
    grammar = f"start: T\nT: {any_but('ab*')}"
    assert all(takes(grammar, text) for text in ("", "b", "abc", "xab"))
    assert not any(takes(grammar, text) for text in ("a", "abb"))


def test_a_choice_is_one_of_its_alternatives() -> None:
    grammar = f'start: {choice(map(quoted, ["a", "bc"]))} "!"'
    assert takes(grammar, "a!") and takes(grammar, "bc!")
    assert not takes(grammar, "abc!") and not takes(grammar, "!")


def test_values_are_json_as_the_model_likes_to_lay_it_out() -> None:
    grammar = f"start: {json_value({'type': 'array', 'items': {'type': 'integer'}})}"
    assert all(takes(grammar, text) for text in ("[1,2]", "[1, 2]", "[\n  1,\n  2\n]"))
    assert not takes(grammar, '["1"]') and not takes(grammar, "[1,  2]")


def test_arguments_are_an_object_also_where_the_schema_does_not_say_so() -> None:
    assert takes(f"start: {arguments({})}", '{"a": 1}')
    assert not takes(f"start: {arguments({})}", "1")


def test_only_the_form_of_a_token_is_a_token() -> None:
    assert is_token(as_token(MARKER)) and not is_token(as_text(MARKER))
    assert not is_token(quoted("<[5]>"))


@pytest.mark.parametrize("parallel", [False, True])
def test_required_calls_begin_with_their_marker(parallel: bool) -> None:
    grammar = marked(MARKER, '"f"', '"\\n"', quoted, required=True, parallel=parallel)
    one, two = f"{MARKER}f", f"{MARKER}f\n{MARKER}f"
    assert takes(grammar, one)
    assert takes(grammar, two) == parallel
    assert not any(takes(grammar, text) for text in ("", "a" + one, one + "\n", one + MARKER))


@pytest.mark.parametrize("parallel", [False, True])
def test_free_text_ends_where_a_call_begins(parallel: bool) -> None:
    grammar = marked(MARKER, '"f"', "", quoted, required=False, parallel=parallel)
    assert takes(grammar, "") and takes(grammar, "Hi < b") and takes(grammar, f"Hi{MARKER}f")
    assert takes(grammar, f"{MARKER}f{MARKER}f") == parallel
    assert not takes(grammar, f"Hi{MARKER}g") and not takes(grammar, f"{MARKER}f and more")


def test_a_marker_that_is_a_token_is_not_written_as_text() -> None:
    grammar = marked(MARKER, '"f"', "", as_token, required=False, parallel=False)
    token = VOCABULARY.ids[MARKER]
    assert takes(grammar, "Hi", token, "f") and takes(grammar, "Hi <tool")
    assert not takes(grammar, f"Hi{MARKER}") and not takes(grammar, "Hi", token)
