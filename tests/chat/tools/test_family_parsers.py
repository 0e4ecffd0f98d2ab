"""The parsers of all families, for any chunking of their input."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.tools import CallText

from .cases import A_JSON, B_JSON, CASES, NAMES, TOOLS, A, B, Reading, family, read, visible

all_families = pytest.mark.parametrize("name", NAMES)


def test_every_family_has_a_case() -> None:
    assert sorted(CASES) == sorted(NAMES)


@all_families
def test_text_before_a_call(name: str) -> None:
    case = CASES[name]
    result = read(name, [case.before + case.single])
    assert result.text == visible(name, case.before)
    (call,) = result.calls
    assert (call.name, call.ended) == ("get", True)
    assert json.loads(call.arguments) == A
    if case.exact:
        assert call.arguments == A_JSON
    else:
        assert call.arguments.startswith('{"city":"Z') and call.arguments.endswith(',"days":3}')


@all_families
def test_several_calls_and_text_after_them(name: str) -> None:
    case = CASES[name]
    result = read(name, [case.double + case.after])
    assert result.text == case.after
    assert [(call.name, call.ended) for call in result.calls] == [("get", True), ("get_all", True)]
    assert [json.loads(call.arguments) for call in result.calls] == [A, B]
    if case.exact:
        assert result.calls[1].arguments == B_JSON


@all_families
def test_white_space_around_calls_is_not_text(name: str) -> None:
    case = CASES[name]
    assert (
        read(name, ["" if name.startswith("functionary") else "\n\n", case.single, "\n"]).text == ""
    )


@all_families
@pytest.mark.parametrize("text", ["Hello", "", "\n", "a < b, [1], {", "¡Olé! \U0001f600\n\n"])
def test_text_without_a_call(name: str, text: str) -> None:
    assert read(name, [text]) == Reading(text, [])


@all_families
def test_a_call_of_an_unknown_tool_is_text(name: str) -> None:
    case = CASES[name]
    text = case.before + case.single.replace("get", "put")
    assert read(name, [text]) == Reading(visible(name, text), [])


@all_families
def test_calls_of_a_truncated_output_are_prefixes_of_the_whole_ones(name: str) -> None:
    text = CASES[name].double
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
def test_truncated_json_arguments_are_passed_on_completely(name: str) -> None:
    case = CASES[name]
    if not case.exact:
        return
    start = case.single.index(A_JSON)
    for end in range(len(A_JSON)):
        result = read(name, [case.single[: start + end]])
        assert "".join(call.arguments for call in result.calls) == A_JSON[:end]


@all_families
def test_an_output_may_be_fed_character_by_character(name: str) -> None:
    text = CASES[name].before + CASES[name].double + CASES[name].after
    assert read(name, list(text)) == read(name, [text])


@all_families
def test_text_that_cannot_begin_a_call_is_not_held_back(name: str) -> None:
    parser = family(name).parser(TOOLS)
    parser.feed("all\nx" if name == "functionary" else "x")
    for chunk in ("Hello", " wörld\n", "\n", "{", "a < b", " [1]", "2 > 1"):
        assert parser.feed(chunk) == [CallText(chunk)]


FRAGMENTS = st.sampled_from(
    sorted(
        {
            fragment
            for case in CASES.values()
            for text in (case.single, case.double)
            for fragment in (
                text,
                text[: len(text) // 2],
                text[len(text) // 2 :],
                text[:12],
                text[-9:],
            )
        }
        | {"get", "(", ")", '"', "'", "\\", "{", "}", "[", "]", ",", "=", ":", "\n", " ", ">", "<"}
        | {"<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "<function=", "</parameter>"}
        | {"<|channel|>", "<|end|>", "<|message|>", "<|start|>assistant", " to=functions.get"}
        | {"<|START_RESPONSE|>", "<|END_RESPONSE|>", '<invoke name="get">', "<|call|>"}
        | {"<parameter=", "</arg_value>", "<arg_key>", ">>>", "all\n", "<|python_tag|>", "[get("}
    )
)
WILD = st.lists(FRAGMENTS | st.text(max_size=6), max_size=8).map("".join)


@pytest.mark.exhaustive
@all_families
@settings(max_examples=30, deadline=None)
@given(text=WILD, data=st.data())
def test_the_result_does_not_depend_on_the_chunking(
    name: str, text: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(name, chunks) == read(name, [text])
    assert read(name, list(text)) == read(name, [text])


@all_families
@settings(max_examples=30, deadline=None)
@given(text=WILD)
def test_text_without_calls_is_unchanged(name: str, text: str) -> None:
    result = read(name, [text])
    if not result.calls and name not in ("functionary", "harmony", "command_r7b"):
        assert result.text == text


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].exact])
@settings(max_examples=30, deadline=None)
@given(text=WILD)
def test_text_names_and_arguments_are_in_the_output_in_order(name: str, text: str) -> None:
    """The events contain nothing that is not in the output, and keep its order."""
    parser = family(name).parser(TOOLS)
    at = 0
    for event in [*parser.feed(text), *parser.finish()]:
        for attribute in ("text", "name", "fragment"):
            if (part := getattr(event, attribute, None)) is not None:
                found = text.find(part, at)
                assert found >= 0
                at = found + len(part)
