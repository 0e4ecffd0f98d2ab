"""Gemma: a name and arguments between markers, in both generations of markers."""

import pytest

from friendli_endpoint.chat.tools import family_named
from friendli_endpoint.chat.tools.gemma import Gemma

from .cases import Reading, called, family, parsed

NAMES = ["gemma4", "functiongemma"]
both = pytest.mark.parametrize("name", NAMES)
READ = called("get", '{"city":"x"}')


def call(name: str, body: str) -> str:
    """Returns a call; `@` in its body is the marker of strings."""
    opening, closing, quote = family(name).markers
    return f"{opening}call:{body.replace('@', quote)}{closing}"


@both
def test_text_may_be_before_between_and_after_calls(name: str) -> None:
    get = call(name, "get{city:@x@}")
    assert parsed(family(name), f"A {get} B {get}{get}\nC") == Reading("A  B \nC", [READ] * 3)


@both
def test_a_call_may_have_no_arguments(name: str) -> None:
    assert parsed(family(name), call(name, "now.utc{}")) == Reading("", [called("now.utc", "{}")])


@both
@pytest.mark.parametrize("body", ["put{}", "gets{city:@x@}", "get", "get(city=1)", "get {}"])
def test_an_invalid_or_unknown_call_is_text(name: str, body: str) -> None:
    text = call(name, body)
    assert parsed(family(name), text) == Reading(text, [])


@both
def test_a_string_may_contain_the_markers_of_calls(name: str) -> None:
    opening, closing, _ = family(name).markers
    text = call(name, f"get{{city:@{opening}call:get{{}}{closing}@}}")
    expected = called("get", f'{{"city":"{opening}call:get{{}}{closing}"}}')
    assert parsed(family(name), text) == Reading("", [expected])


@both
def test_a_call_without_its_end_leaves_no_text(name: str) -> None:
    text = call(name, "get{city:@x@}")
    for end in range(text.index("}") + 1, len(text) + 1):
        assert parsed(family(name), text[:end]) == Reading("", [READ])


@both
def test_a_string_is_read_while_it_arrives(name: str) -> None:
    quote = family(name).markers[2]
    text = call(name, 'get{city:@a "b"\n')[: -len(family(name).markers[1])]
    assert parsed(family(name), text + quote[:-1]) == Reading(
        "", [called("get", '{"city":"a \\"b\\"\\n', ended=False)]
    )


def test_the_markers_of_the_generations_are_not_mistaken_for_each_other() -> None:
    for name, written in (NAMES, reversed(NAMES)):
        text = call(written, "get{city:@x@}")
        assert parsed(family_named(name), text) == Reading(text, [])
        assert isinstance(family(name), Gemma)
        assert not family(name).recognises("".join(family(written).markers))
