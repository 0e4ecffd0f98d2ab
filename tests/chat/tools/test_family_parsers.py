"""What each family's parser reads, however its input is cut."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.tools import Text

from .cases import A_JSON, B_JSON, CASES, NAMES, TOOLS, A, B, Reading, family, read

all_families = pytest.mark.parametrize("name", NAMES)


def seen(before: str) -> str:
    """What the reader of an answer sees of the text before a call."""
    return before.removeprefix("all\n")


def test_every_family_has_a_case() -> None:
    assert sorted(CASES) == sorted(NAMES)


@all_families
def test_text_and_a_call(name: str) -> None:
    case = CASES[name]
    result = read(name, [case.before + case.one])
    assert result.text == seen(case.before)
    (call,) = result.calls
    assert (call.name, call.ended) == ("get", True)
    assert json.loads(call.arguments) == A
    if case.exact:
        assert call.arguments == A_JSON
    else:
        assert call.arguments.startswith('{"city":"Z') and call.arguments.endswith(',"days":3}')


@all_families
def test_several_calls_and_text_behind_them(name: str) -> None:
    case = CASES[name]
    result = read(name, [case.two + case.after])
    assert result.text == case.after
    assert [(call.name, call.ended) for call in result.calls] == [("get", True), ("get_all", True)]
    assert [json.loads(call.arguments) for call in result.calls] == [A, B]
    if case.exact:
        assert result.calls[1].arguments == B_JSON


@all_families
def test_white_space_around_calls_is_no_text(name: str) -> None:
    case = CASES[name]
    assert read(name, ["" if name.startswith("functionary") else "\n\n", case.one, "\n"]).text == ""


@all_families
@pytest.mark.parametrize("text", ["Hello", "", "\n", "a < b, [1], {", "¡Olé! \U0001f600\n\n"])
def test_no_call(name: str, text: str) -> None:
    assert read(name, [text]) == Reading(text, [])


@all_families
def test_an_unknown_name_makes_no_call(name: str) -> None:
    case = CASES[name]
    text = case.before + case.one.replace("get", "put")
    assert read(name, [text]) == Reading(seen(text), [])


@all_families
def test_truncated_anywhere(name: str) -> None:
    text = CASES[name].two
    whole = read(name, [text])
    for end in range(len(text)):
        part = read(name, [text[:end]])
        assert len(part.calls) <= len(whole.calls)
        for call, expected in zip(part.calls, whole.calls, strict=False):
            assert call.name == expected.name
            assert expected.arguments.startswith(call.arguments)
            assert call.ended == (call.arguments == expected.arguments)
        if not part.calls:
            assert part.text == text[:end]


@all_families
def test_truncated_arguments_of_json_are_all_there(name: str) -> None:
    case = CASES[name]
    if not case.exact:
        return
    start = case.one.index(A_JSON)
    for end in range(len(A_JSON)):
        result = read(name, [case.one[: start + end]])
        assert "".join(call.arguments for call in result.calls) == A_JSON[:end]


@all_families
def test_character_by_character(name: str) -> None:
    text = CASES[name].before + CASES[name].two + CASES[name].after
    assert read(name, list(text)) == read(name, [text])


@all_families
def test_text_is_held_back_no_longer_than_it_must(name: str) -> None:
    parser = family(name).parser(TOOLS)
    parser.feed("all\nx" if name == "functionary" else "x")
    for piece in ("Hello", " wörld\n", "\n", "{", "a < b", " [1]", "2 > 1"):
        assert parser.feed(piece) == [Text(piece)]


FRAGMENTS = st.sampled_from(
    sorted(
        {
            piece
            for case in CASES.values()
            for text in (case.one, case.two)
            for piece in (
                text,
                text[: len(text) // 2],
                text[len(text) // 2 :],
                text[:12],
                text[-9:],
            )
        }
        | {"get", "(", ")", '"', "'", "\\", "{", "}", "[", "]", ",", "=", ":", "\n", " ", ">", "<"}
        | {"<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "<function=", "</parameter>"}
        | {"<parameter=", "</arg_value>", "<arg_key>", ">>>", "all\n", "<|python_tag|>", "[get("}
    )
)
WILD = st.lists(FRAGMENTS | st.text(max_size=6), max_size=8).map("".join)


@all_families
@settings(max_examples=30, deadline=None)
@given(text=WILD, data=st.data())
def test_cutting_makes_no_difference(name: str, text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(name, pieces) == read(name, [text])
    assert read(name, list(text)) == read(name, [text])


@all_families
@settings(max_examples=30, deadline=None)
@given(text=WILD)
def test_text_without_calls_comes_back_whole(name: str, text: str) -> None:
    result = read(name, [text])
    if not result.calls and name != "functionary":
        assert result.text == text


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].exact])
@settings(max_examples=30, deadline=None)
@given(text=WILD)
def test_all_that_is_no_part_of_calls_comes_back(name: str, text: str) -> None:
    """Text and arguments, in order, are found in the original: nothing is made up or moved."""
    parser = family(name).parser(TOOLS)
    at = 0
    for event in [*parser.feed(text), *parser.finish()]:
        for attribute in ("text", "name", "fragment"):
            if (piece := getattr(event, attribute, None)) is not None:
                found = text.find(piece, at)
                assert found >= 0
                at = found + len(piece)
