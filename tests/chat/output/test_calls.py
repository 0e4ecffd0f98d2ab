"""Calls in an answer, and outputs truncated anywhere: in a tag, in reasoning, in a call."""

from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.output.calls import CallReader
from friendli_endpoint.chat.output.reader import Reader
from friendli_endpoint.chat.reasoning.styles import STYLES
from friendli_endpoint.chat.tools import family_named
from friendli_endpoint.chat.tools.family import CallBegin
from tests.chat.tools.cases import CASES, TOOLS
from tests.support.chat import ChoiceReader, OpenVocabulary, choice_guide, criteria_of

VOCABULARY = OpenVocabulary()
OPEN, THOUGHT, CLOSE = "<think>", "I shall <call> twice.", "</think>"


@dataclass
class Message:
    """The message that a client accumulates from the deltas of one choice."""

    reasoning: str = ""
    content: str = ""
    calls: list[list[str]] = field(default_factory=list)
    """The name and the arguments of each call."""


def message(family: str, chunks: list[str], *, parse: bool = True) -> Message:
    """Returns the message of an output in these chunks that ends with `length`."""
    chosen = family_named(family)
    rule = STYLES[0].rule("", chosen.markers[:1])
    guide = choice_guide(criteria_of(VOCABULARY), VOCABULARY, rule)
    choice = ChoiceReader(guide, Reader(VOCABULARY, parse=parse))
    calls, read = CallReader(partial(chosen.parser, TOOLS), b""), Message()
    choice.read(VOCABULARY.token_of(chunk.encode()) for chunk in chunks)
    choice.end("length")
    for delta in choice.deltas:
        read.reasoning += delta.reasoning
        for call_delta in calls.read(delta.text, delta.finish is not None):
            read.content += call_delta.content or ""
            for call in call_delta.tool_calls or ():
                assert call.function
                if call.function.name:
                    read.calls.append([call.function.name, ""])
                read.calls[call.index][1] += call.function.arguments or ""
    return read


@pytest.mark.exhaustive
@pytest.mark.parametrize("family", sorted(CASES))
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_truncated_output_loses_and_repeats_nothing(family: str, data: st.DataObject) -> None:
    answer = CASES[family].double
    output = OPEN + THOUGHT + CLOSE + answer
    end = data.draw(st.integers(0, len(output)) | st.integers(0, len(OPEN + THOUGHT + CLOSE) + 40))
    cut, whole = output[:end], message(family, [output])
    read = message(family, [cut])
    assert message(family, list(cut)) == read
    kept = cut[len(OPEN + THOUGHT + CLOSE) :]
    if end < len(OPEN):
        assert read == Message(content=cut)
    elif end < len(OPEN + THOUGHT + CLOSE):
        assert read == Message(reasoning=cut[len(OPEN) :].rstrip())
    elif not read.calls:
        assert (read.reasoning, read.content) == (THOUGHT, kept.lstrip())
    else:
        assert read.reasoning == THOUGHT
        assert kept.endswith(read.content)
        assert [name for name, _ in read.calls] == [name for name, _ in whole.calls][
            : len(read.calls)
        ]
        for (_, arguments), (_, expected) in zip(read.calls, whole.calls, strict=False):
            assert expected.startswith(arguments)


def test_a_call_truncated_in_its_name_is_text() -> None:
    partial = '<tool_call>\n{"name": "ge'
    call = '<tool_call>\n{"name": "get", "arguments": {"city": "X"}}\n</tool_call>'
    assert message("hermes", [partial]) == Message(content=partial)
    assert message("hermes", [f"{call}\n{partial}"]) == Message(
        content=f"\n{partial}", calls=[["get", '{"city": "X"}']]
    )
    assert message("hermes", [f"<think>a{partial}"]) == Message(reasoning="a", content=partial)
    assert message("hermes", [f"<think>a{partial}"], parse=False).content == f"<think>a{partial}"


def test_a_partial_marker_in_the_reasoning_is_reasoning() -> None:
    assert message("hermes", ["<think>a <tool_"]) == Message(reasoning="a <tool_")


@pytest.mark.exhaustive
@pytest.mark.parametrize("family", sorted(CASES))
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_calls_after_a_prefix_are_those_of_the_whole_answer(
    family: str, data: st.DataObject
) -> None:
    """As long as no call has begun, the prefix may end anywhere, also in a marker."""
    make_parser = partial(family_named(family).parser, TOOLS)
    answer = CASES[family].double
    first = next(
        (
            size
            for size in range(1, len(answer))
            if any(isinstance(event, CallBegin) for event in make_parser().feed(answer[:size]))
        ),
        len(answer),
    )
    cut = data.draw(st.integers(0, first - 1))
    whole, rest = (
        list(CallReader(make_parser, b"k", prefix).read(text, True))
        for prefix, text in (("", answer), (answer[:cut], answer[cut:]))
    )
    calls = [[delta.tool_calls for delta in deltas if delta.tool_calls] for deltas in (whole, rest)]
    assert calls[0] == calls[1]
    text, later = ("".join(delta.content or "" for delta in deltas) for deltas in (whole, rest))
    assert text.endswith(later)
    assert len(later) <= len(answer) - cut
