"""Reasoning is split from the answer, in every style and for any chunking."""

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.reasoning.splitter import Phase, ReasoningSplitter
from friendli_endpoint.chat.reasoning.styles import STYLES, ReasoningStyle

NAMED = {style.name: style for style in STYLES}
THINK = NAMED["think"]
CALL = "<tool_call>"

styles = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)


def split(
    style: ReasoningStyle, prompt: str, chunks: list[bytes], interruptions: tuple[str, ...] = ()
) -> tuple[str, str, Phase]:
    """Returns reasoning, answer and final phase; checks that no raw byte is lost."""
    splitter = ReasoningSplitter(style.rule(prompt, interruptions))
    segments = [segment for chunk in chunks for segment in splitter.feed(chunk)]
    phase = splitter.phase
    segments += splitter.finish()
    assert b"".join(segment.raw for segment in segments) == b"".join(chunks)
    assert all(segment.text in segment.raw for segment in segments)
    sides = [
        b"".join(segment.text for segment in segments if segment.reasoning == side).decode()
        for side in (True, False)
    ]
    return sides[0], sides[1], phase


def whole(style: ReasoningStyle, prompt: str, output: str, *stops: str) -> tuple[str, str]:
    return split(style, prompt, [output.encode()], stops)[:2]


def split_at(text: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@st.composite
def outputs(draw: st.DrawFn) -> tuple[ReasoningStyle, str, str]:
    style = draw(st.sampled_from(STYLES))
    tags = [*style.tags, CALL]
    partial_tags = [tag[:length] for tag in tags for length in (1, len(tag) // 2, len(tag) - 1)]
    atoms = st.sampled_from(
        [*tags, *tags, *partial_tags, " ", "\n", "\n\n", "a", "é", "Let me see."]
    )
    output = "".join(draw(st.lists(atoms, max_size=8)))
    prompt = draw(st.sampled_from(["", "user: hi\n", f"x{style.open}\n", f"x{style.close}\n\n"]))
    return style, prompt, output


@settings(max_examples=300, deadline=None)
@given(outputs(), st.lists(st.integers(0, 120), max_size=8), st.booleans())
def test_any_chunking_gives_the_same_reasoning_and_answer(
    case: tuple[ReasoningStyle, str, str], cuts: list[int], calls: bool
) -> None:
    style, prompt, output = case
    interruptions = (CALL,) if calls else ()
    text = output.encode()
    expected = split(style, prompt, [text], interruptions)
    assert split(style, prompt, split_at(text, cuts), interruptions) == expected
    assert split(style, prompt, [bytes([byte]) for byte in text], interruptions) == expected


@styles
def test_tags_and_the_white_space_around_them_belong_to_neither_side(
    style: ReasoningStyle,
) -> None:
    output = f"{style.open}\nFirst this,\n then that.\n{style.close}\n\nIt is 4.\n"
    assert whole(style, "", output) == ("First this,\n then that.", "It is 4.\n")
    assert whole(style, "", "\n " + output) == ("First this,\n then that.", "It is 4.\n")


@st.composite
def chopped_outputs(draw: st.DrawFn) -> tuple[ReasoningStyle, str, str, list[int]]:
    """Returns a style, a prompt, a whole output of that style, and where it is chopped."""
    style = draw(st.sampled_from(STYLES))
    space = st.sampled_from(["", "\n", " \n\n"])
    opened = draw(st.booleans())
    opening = "" if opened else draw(st.sampled_from([style.open, *style.other_opens]))
    parts = [opening, draw(space), "Let me see.", draw(space)]
    parts += [draw(st.sampled_from([style.close, *style.other_closes])), draw(space)]
    if style.answer_open and draw(st.booleans()):
        parts += [style.answer_open, draw(space)]
    parts.append("It is 4.")
    if style.answer_close:
        parts += [draw(space), style.answer_close, draw(space)]
    output = "".join(parts)
    cuts = draw(st.lists(st.integers(0, len(output)), max_size=8))
    return style, f"assistant: {style.open}\n" if opened else "hi", output, cuts


@settings(max_examples=300, deadline=None)
@given(chopped_outputs())
def test_no_tag_of_a_style_is_in_the_content(
    case: tuple[ReasoningStyle, str, str, list[int]],
) -> None:
    style, prompt, output, cuts = case
    chunks = split_at(output.encode(), cuts)
    assert split(style, prompt, chunks) == ("Let me see.", "It is 4.", Phase.ANSWER)


@styles
def test_an_answer_without_reasoning_may_have_tags(style: ReasoningStyle) -> None:
    closing = f"\n{style.answer_close}\n" if style.answer_close else ""
    for prelude in style.preludes:
        assert whole(style, "hi", f"{prelude}\n4{closing}") == ("", "4")
    if style.answer_open:
        for prompt in (style.close, style.answer_open):
            assert whole(style, prompt, f"{style.answer_open}\n4{closing}") == ("", "4")


CLOSING = [style for style in STYLES if style.answer_close]
closing_styles = pytest.mark.parametrize("style", CLOSING, ids=lambda style: style.name)


@closing_styles
def test_white_space_stays_where_text_follows_the_closing_tag_of_an_answer(
    style: ReasoningStyle,
) -> None:
    output = f"a{style.close}4 {style.answer_close}\n\nDone. \n"
    assert whole(style, style.open, output) == ("a", "4 \n\nDone. \n")


@closing_styles
def test_an_incomplete_closing_tag_of_an_answer_is_text(style: ReasoningStyle) -> None:
    output = f"a{style.close}4\n{style.answer_close[:-1]}"
    assert whole(style, style.open, output) == ("a", f"4\n{style.answer_close[:-1]}")


@closing_styles
def test_white_space_before_a_possible_closing_tag_is_held_back(style: ReasoningStyle) -> None:
    splitter = ReasoningSplitter(style.rule(f"{style.open}{style.close}"))
    texts = [
        b"".join(segment.text for segment in splitter.feed(chunk))
        for chunk in (b"a \n", b"b", style.answer_close[:3].encode(), b" c\n")
    ]
    held = style.answer_close[:3].encode()
    assert texts == [b"a", b" \nb", b"", held + b" c"]
    assert splitter.held_answer == b"\n"


PAIRED = [style for style in CLOSING if style.answer_open]


@pytest.mark.parametrize("style", PAIRED, ids=lambda style: style.name)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_pair_of_tags_inside_of_an_answer_is_text(style: ReasoningStyle, wrapped: bool) -> None:
    document = f"A: {style.answer_open}x{style.answer_close} B"
    answer = f"{style.answer_open}{document}{style.answer_close}" if wrapped else document
    assert whole(style, style.open, f"a{style.close}{answer}") == ("a", document)
    assert whole(style, "hi", document) == ("", document)


@closing_styles
def test_a_response_format_keeps_every_character_of_its_answer(style: ReasoningStyle) -> None:
    splitter = ReasoningSplitter(style.rule(style.close, trims=False))
    output = f" 4\n{style.answer_close}\n".encode()
    segments = [*splitter.feed(output), *splitter.finish()]
    assert b"".join(segment.text for segment in segments) == output


@styles
def test_a_prompt_that_ends_with_the_open_tag_starts_in_the_reasoning(
    style: ReasoningStyle,
) -> None:
    prompt = f"user: 2+2?\nassistant: {style.open}\n"
    assert ReasoningSplitter(style.rule(prompt)).phase is Phase.REASONING
    assert whole(style, prompt, f"Easy.\n{style.close}\n4") == ("Easy.", "4")


@styles
def test_a_prompt_that_ends_with_the_close_tag_starts_in_the_answer(style: ReasoningStyle) -> None:
    prompt = f"assistant: {style.open}\n\n{style.close}\n\n"
    splitter = ReasoningSplitter(style.rule(prompt))
    assert splitter.phase is (Phase.START if style.answer_open else Phase.ANSWER)
    assert splitter.after_reasoning
    assert whole(style, prompt, f"4 {style.open}no{style.close}") == (
        "",
        f"4 {style.open}no{style.close}",
    )


@styles
def test_without_a_close_tag_everything_is_reasoning(style: ReasoningStyle) -> None:
    assert split(style, "", [f"{style.open}on and on \n".encode()]) == (
        "on and on",
        "",
        Phase.REASONING,
    )
    partial_tag = style.close[:-1]
    assert whole(style, f"x{style.open}", f"on and {partial_tag}") == (f"on and {partial_tag}", "")


@styles
def test_an_output_without_a_tag_is_all_answer_and_keeps_its_white_space(
    style: ReasoningStyle,
) -> None:
    assert split(style, "", [b"\n Hello "]) == ("", "\n Hello ", Phase.ANSWER)
    assert whole(style, "", f"Hello {style.open}x{style.close}") == (
        "",
        f"Hello {style.open}x{style.close}",
    )


@styles
def test_an_output_that_ends_within_the_open_tag_is_answer(style: ReasoningStyle) -> None:
    assert whole(style, "", style.open[:-1]) == ("", style.open[:-1])


@styles
def test_an_interruption_is_part_of_the_answer(style: ReasoningStyle) -> None:
    output = f"{style.open}I shall call.\n{CALL}\n{{}}"
    assert whole(style, "", output, CALL) == ("I shall call.", f"{CALL}\n{{}}")
    assert whole(style, "", output) == (f"I shall call.\n{CALL}\n{{}}", "")


def test_an_interruption_after_the_close_tag_is_text() -> None:
    output = f"<think>a</think>\n\n{CALL}b{CALL}"
    assert whole(THINK, "", output, CALL) == ("a", f"{CALL}b{CALL}")


def test_a_prelude_of_harmony_is_not_part_of_the_answer() -> None:
    prelude = "<|channel|>final<|message|>"
    assert whole(NAMED["harmony"], "<|start|>assistant", f"{prelude}Hello") == ("", "Hello")


@pytest.mark.parametrize("prompt", ["", "<think>", "<think></think>"])
def test_an_answer_keeps_its_white_space_if_the_rule_does_not_trim(prompt: str) -> None:
    output = {"": "<think> a </think>\n b", "<think>": "a </think>\n b", "<think></think>": "\n b"}
    splitter = ReasoningSplitter(THINK.rule(prompt, trims=False))
    segments = splitter.feed(output[prompt].encode())
    answer = b"".join(segment.text for segment in segments if not segment.reasoning)
    assert answer == b"\n b"
    reasoning = b"".join(segment.text for segment in segments if segment.reasoning)
    assert reasoning == (b"" if prompt.endswith("</think>") else b"a")


@pytest.mark.parametrize(
    ("prompt", "output", "partial_tag", "tagged"),
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
def test_partial_tag_is_the_last_bytes_that_may_begin_a_tag(
    prompt: str, output: str, partial_tag: str, tagged: bool
) -> None:
    splitter = ReasoningSplitter(THINK.rule(prompt))
    splitter.feed(output.encode())
    assert (splitter.partial_tag, splitter.tagged) == (partial_tag.encode(), tagged)


def test_only_bytes_that_may_begin_a_tag_are_held_back() -> None:
    splitter = ReasoningSplitter(THINK.rule("<think>"))
    texts = [
        b"".join(segment.text for segment in splitter.feed(chunk))
        for chunk in (b"a ", b"b<", b"/c", b"")
    ]
    assert texts == [b"a", b" b", b"</c", b""]


def test_an_empty_block_has_no_reasoning() -> None:
    assert whole(THINK, "", "<think>\n\n</think>\n\nHi") == ("", "Hi")
    assert whole(THINK, "<think>", "</think>Hi") == ("", "Hi")


@settings(max_examples=300, deadline=None)
@given(outputs(), st.integers(0, 60), st.lists(st.integers(0, 120), max_size=8))
def test_an_output_that_continues_reasoning_is_split_like_the_whole(
    case: tuple[ReasoningStyle, str, str], cut: int, cuts: list[int]
) -> None:
    """Nothing of the text before it is repeated, and a tag may have begun in that text."""
    style, _, output = case
    start = style.rule(style.open)
    before, rest = output[:cut], output[cut:].encode()
    if not before or split(style, style.open, [before.encode()])[2] is not Phase.REASONING:
        return
    splitter = ReasoningSplitter(dataclasses.replace(start, before=before))
    segments = [segment for chunk in split_at(rest, cuts) for segment in splitter.feed(chunk)]
    segments += splitter.finish()
    assert b"".join(segment.raw for segment in segments) == rest
    answer = b"".join(segment.text for segment in segments if not segment.reasoning).decode()
    _, expected, phase = split(style, style.open, [output.encode()])
    assert (answer, splitter.phase) == (expected, phase)


@pytest.mark.parametrize("output", [" world\n", "\n\n", " </think>"])
def test_white_space_at_the_beginning_of_a_continued_answer_is_text(output: str) -> None:
    rule = dataclasses.replace(THINK.rule(THINK.close), before="Hello")
    segments = ReasoningSplitter(rule).feed(output.encode())
    assert b"".join(segment.text for segment in segments).decode() == output
