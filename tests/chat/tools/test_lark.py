"""The building blocks of Lark grammars, checked with the compiler."""

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
    share_json,
    without,
)

from .walk import COMPILER, VOCABULARY, Walk, allowed, as_text, as_token

MARKER = "<tool_call>"


def allows(grammar: str, *output: str | int) -> bool:
    """Whether a grammar allows an output of texts and tokens as a whole."""
    walk = Walk(COMPILER.lark(grammar, VOCABULARY.end_ids, "tools"))
    tokens = [
        token for part in output for token in ([part] if isinstance(part, int) else part.encode())
    ]
    for token in tokens:
        if walk.ended or token not in allowed(walk.state):
            return False
        walk.append(token)
    return walk.ended or VOCABULARY.eos_id in allowed(walk.state)


ODD = ['a"b', "a\\b", "a/b", "a.b", "a*", "(a|b)", "é", "<[5]>", "a b", "#&~-", "%json {}"]


@pytest.mark.parametrize("text", [*ODD, "\n\x00\t"])
def test_a_quoted_text_matches_only_that_text(text: str) -> None:
    assert allows(f"start: {quoted(text)}", text)
    assert not allows(f"start: {quoted(text)}", text[:-1])
    assert not allows(f"start: {quoted(text)}", "x" + text)


@pytest.mark.parametrize("text", ODD)
def test_an_escaped_text_matches_only_itself(text: str) -> None:
    assert allows(f"start: /{escaped(text)}/", text)
    assert not allows(f"start: /{escaped(text)}/", text.replace(text[1:2], "x"))


def test_names_pattern_distinguishes_names_with_a_common_prefix() -> None:
    tools = [ToolSpec(name, None, {}) for name in ("get", "get.all", "now-2")]
    grammar = f"start: /{names_pattern(tools)}\\(/"
    assert all(allows(grammar, f"{tool.name}(") for tool in tools)
    assert not any(allows(grammar, text) for text in ("ge(", "getxall(", "get.all", "now-22("))


def test_spaces_matches_at_most_the_white_space_of_the_parsers() -> None:
    grammar = f'start: /{SPACES}/ "x"'
    assert allows(grammar, "x") and allows(grammar, " \t\r\n" * 4 + "x")
    assert not allows(grammar, " " * 17 + "x")


def test_anything_matches_any_text() -> None:
    assert allows(f"start: T\nT: {ANYTHING}", 'a\n"</b> \U0001f600')


def test_without_excludes_the_texts_anywhere() -> None:
    grammar = f"start: T\nT: {without(['ab', '</x>'])}"
    assert all(allows(grammar, text) for text in ("", "a", "a\nb", "</x", "aa</y>"))
    assert not any(allows(grammar, text) for text in ("ab", "xab", "abx", "a\n</x>b"))


def test_any_but_excludes_only_full_matches() -> None:
    grammar = f"start: T\nT: {any_but('ab*')}"
    assert all(allows(grammar, text) for text in ("", "b", "abc", "xab"))
    assert not any(allows(grammar, text) for text in ("a", "abb"))


def test_a_choice_matches_one_of_its_alternatives() -> None:
    grammar = f'start: {choice(map(quoted, ["a", "bc"]))} "!"'
    assert allows(grammar, "a!") and allows(grammar, "bc!")
    assert not allows(grammar, "abc!") and not allows(grammar, "!")


def test_json_values_may_be_compact_or_indented() -> None:
    grammar = f"start: {json_value({'type': 'array', 'items': {'type': 'integer'}})}"
    assert all(allows(grammar, text) for text in ("[1,2]", "[1, 2]", "[\n  1,\n  2\n]"))
    assert not allows(grammar, '["1"]') and not allows(grammar, "[1,  2]")


def test_arguments_are_an_object_even_if_the_schema_has_no_type() -> None:
    assert allows(f"start: {arguments({})}", '{"a": 1}')
    assert not allows(f"start: {arguments({})}", "1")


def test_is_token_recognises_only_the_lark_form_of_a_token() -> None:
    assert is_token(as_token(MARKER)) and not is_token(as_text(MARKER))
    assert not is_token(quoted("<[5]>"))


@pytest.mark.parametrize("parallel", [False, True])
def test_required_calls_begin_with_their_marker(parallel: bool) -> None:
    grammar = marked(MARKER, '"f"', '"\\n"', quoted, required=True, parallel=parallel)
    single, double = f"{MARKER}f", f"{MARKER}f\n{MARKER}f"
    assert allows(grammar, single)
    assert allows(grammar, double) == parallel
    assert not any(
        allows(grammar, text) for text in ("", "a" + single, single + "\n", single + MARKER)
    )


@pytest.mark.parametrize("parallel", [False, True])
def test_free_text_ends_where_a_call_begins(parallel: bool) -> None:
    grammar = marked(MARKER, '"f"', "", quoted, required=False, parallel=parallel)
    assert allows(grammar, "") and allows(grammar, "Hi < b") and allows(grammar, f"Hi{MARKER}f")
    assert allows(grammar, f"{MARKER}f{MARKER}f") == parallel
    assert not allows(grammar, f"Hi{MARKER}g") and not allows(grammar, f"{MARKER}f and more")


def test_a_marker_that_is_a_token_is_not_allowed_as_text() -> None:
    grammar = marked(MARKER, '"f"', "", as_token, required=False, parallel=False)
    token = VOCABULARY.ids[MARKER]
    assert allows(grammar, "Hi", token, "f") and allows(grammar, "Hi <tool")
    assert not allows(grammar, f"Hi{MARKER}") and not allows(grammar, "Hi", token)


def test_equal_expressions_of_json_become_one_rule() -> None:
    value, null = json_value({"type": "integer"}), json_value({"type": "null"})
    text = f'start: "a" {value} | "b" {value} | "c" {null} | "%json {{}}" {value}\n'
    shared = share_json(text)
    assert shared.count("%json {") == 3, "one rule, the expression that occurs once, and the text"
    for grammar in (text, shared):
        assert allows(grammar, "a1") and allows(grammar, "b2") and allows(grammar, "cnull")
        assert allows(grammar, "%json {}3")
        assert not allows(grammar, "anull") and not allows(grammar, "c1")


@pytest.mark.parametrize("name", ODD)
def test_texts_that_look_like_json_expressions_stay_texts(name: str) -> None:
    odd = json_value({"properties": {name: {"const": name}}})
    for text in (name, odd):
        grammar = f'start: {quoted(text)} | /{escaped(text)}/ "-"\n'
        assert share_json(grammar + grammar.replace("start", "other")) == (
            grammar + grammar.replace("start", "other")
        )
