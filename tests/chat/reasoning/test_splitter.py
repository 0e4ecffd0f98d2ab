"""Reasoning told from the answer: by every style, however the output is cut."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.reasoning.splitter import Place, Splitter
from friendli_endpoint.chat.reasoning.styles import STYLES, ReasoningStyle

NAMED = {style.name: style for style in STYLES}
THINK = NAMED["think"]
CALL = "<tool_call>"

styles = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)


def split(
    style: ReasoningStyle, prompt: str, pieces: list[bytes], interruptions: tuple[str, ...] = ()
) -> tuple[str, str, Place]:
    """Reasoning, answer, and where the splitter is at the end; all raw bytes are accounted for."""
    splitter = Splitter(style.rule(prompt, interruptions))
    segments = [segment for piece in pieces for segment in splitter.feed(piece)]
    place = splitter.place
    segments += splitter.finish()
    assert b"".join(segment.raw for segment in segments) == b"".join(pieces)
    assert all(segment.text in segment.raw for segment in segments)
    sides = [
        b"".join(segment.text for segment in segments if segment.reasoning == side).decode()
        for side in (True, False)
    ]
    return sides[0], sides[1], place


def whole(style: ReasoningStyle, prompt: str, output: str, *stops: str) -> tuple[str, str]:
    return split(style, prompt, [output.encode()], stops)[:2]


def chopped(text: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@st.composite
def outputs(draw: st.DrawFn) -> tuple[ReasoningStyle, str, str]:
    style = draw(st.sampled_from(STYLES))
    tags = [style.open, style.close, *style.preludes, CALL]
    begun = [tag[:length] for tag in tags for length in (1, len(tag) // 2, len(tag) - 1)]
    atoms = st.sampled_from([*tags, *tags, *begun, " ", "\n", "\n\n", "a", "é", "Let me see."])
    output = "".join(draw(st.lists(atoms, max_size=8)))
    prompt = draw(st.sampled_from(["", "user: hi\n", f"x{style.open}\n", f"x{style.close}\n\n"]))
    return style, prompt, output


@settings(max_examples=300, deadline=None)
@given(outputs(), st.lists(st.integers(0, 120), max_size=8), st.booleans())
def test_any_chopping_gives_the_same_reasoning_and_answer(
    case: tuple[ReasoningStyle, str, str], cuts: list[int], calls: bool
) -> None:
    style, prompt, output = case
    interruptions = (CALL,) if calls else ()
    text = output.encode()
    expected = split(style, prompt, [text], interruptions)
    assert split(style, prompt, chopped(text, cuts), interruptions) == expected
    assert split(style, prompt, [bytes([byte]) for byte in text], interruptions) == expected


@styles
def test_tags_and_the_white_space_around_them_belong_to_neither_side(
    style: ReasoningStyle,
) -> None:
    output = f"{style.open}\nFirst this,\n then that.\n{style.close}\n\nIt is 4.\n"
    assert whole(style, "", output) == ("First this,\n then that.", "It is 4.\n")
    assert whole(style, "", "\n " + output) == ("First this,\n then that.", "It is 4.\n")


@styles
def test_a_prompt_that_opened_the_tag_starts_inside(style: ReasoningStyle) -> None:
    prompt = f"user: 2+2?\nassistant: {style.open}\n"
    assert Splitter(style.rule(prompt)).place is Place.REASONING
    assert whole(style, prompt, f"Easy.\n{style.close}\n4") == ("Easy.", "4")


@styles
def test_a_prompt_that_closed_the_block_starts_in_the_answer(style: ReasoningStyle) -> None:
    prompt = f"assistant: {style.open}\n\n{style.close}\n\n"
    assert Splitter(style.rule(prompt)).place is Place.ANSWER
    assert whole(style, prompt, f"4 {style.open}no{style.close}") == (
        "",
        f"4 {style.open}no{style.close}",
    )


@styles
def test_without_an_end_tag_everything_is_reasoning(style: ReasoningStyle) -> None:
    assert split(style, "", [f"{style.open}on and on \n".encode()]) == (
        "on and on",
        "",
        Place.REASONING,
    )
    begun = style.close[:-1]
    assert whole(style, f"x{style.open}", f"on and {begun}") == (f"on and {begun}", "")


@styles
def test_an_output_without_a_tag_is_all_answer_and_keeps_its_white_space(
    style: ReasoningStyle,
) -> None:
    assert split(style, "", [b"\n Hello "]) == ("", "\n Hello ", Place.ANSWER)
    assert whole(style, "", f"Hello {style.open}x{style.close}") == (
        "",
        f"Hello {style.open}x{style.close}",
    )


@styles
def test_an_output_that_ends_within_the_open_tag_is_answer(style: ReasoningStyle) -> None:
    assert whole(style, "", style.open[:-1]) == ("", style.open[:-1])


@styles
def test_what_interrupts_belongs_to_the_answer(style: ReasoningStyle) -> None:
    output = f"{style.open}I shall call.\n{CALL}\n{{}}"
    assert whole(style, "", output, CALL) == ("I shall call.", f"{CALL}\n{{}}")
    assert whole(style, "", output) == (f"I shall call.\n{CALL}\n{{}}", "")


def test_an_interruption_after_the_end_tag_is_only_text() -> None:
    output = f"<think>a</think>\n\n{CALL}b{CALL}"
    assert whole(THINK, "", output, CALL) == ("a", f"{CALL}b{CALL}")


def test_a_prelude_of_harmony_is_no_part_of_the_answer() -> None:
    prelude = "<|channel|>final<|message|>"
    assert whole(NAMED["harmony"], "<|start|>assistant", f"{prelude}Hello") == ("", "Hello")


@pytest.mark.parametrize("prompt", ["", "<think>", "<think></think>"])
def test_an_answer_of_which_every_character_counts_keeps_its_white_space(prompt: str) -> None:
    output = {"": "<think> a </think>\n b", "<think>": "a </think>\n b", "<think></think>": "\n b"}
    splitter = Splitter(THINK.rule(prompt, trims=False))
    segments = splitter.feed(output[prompt].encode())
    shown = b"".join(segment.text for segment in segments if not segment.reasoning)
    assert shown == b"\n b"
    thought = b"".join(segment.text for segment in segments if segment.reasoning)
    assert thought == (b"" if prompt.endswith("</think>") else b"a")


@pytest.mark.parametrize(
    ("prompt", "output", "begun", "tagged"),
    [
        ("", "", "", False),
        ("", " \n<thi", "<thi", False),
        ("", "<b", "", False),
        ("", "<think> <", "<", True),
        ("<think>", "a <</th", "</th", False),
        ("<think>", "a \n", "", False),
        ("<think>", "a</think>", "", False),
    ],
)
def test_what_may_be_the_beginning_of_a_tag(
    prompt: str, output: str, begun: str, tagged: bool
) -> None:
    splitter = Splitter(THINK.rule(prompt))
    splitter.feed(output.encode())
    assert (splitter.begun, splitter.tagged) == (begun.encode(), tagged)


def test_only_what_may_be_a_tag_is_held_back() -> None:
    splitter = Splitter(THINK.rule("<think>"))
    shown = [
        b"".join(part.text for part in splitter.feed(piece)) for piece in (b"a ", b"b<", b"/c", b"")
    ]
    assert shown == [b"a", b" b", b"</c", b""]


def test_an_empty_block_has_no_reasoning() -> None:
    assert whole(THINK, "", "<think>\n\n</think>\n\nHi") == ("", "Hi")
    assert whole(THINK, "<think>", "</think>Hi") == ("", "Hi")
