"""The interpreter of an output: the same is found however it is cut into tokens."""

import itertools
import random
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.decoding.interpreter import OutputInterpreter
from friendli_endpoint.chat.reasoning.splitter import Splitter
from friendli_endpoint.chat.reasoning.styles import STYLES
from friendli_endpoint.generation import OutputSpan, ReasoningRule
from tests.support.chat import OpenVocabulary, criteria_of

VOCABULARY = OpenVocabulary()
NAMED = {style.name: style for style in STYLES}
CALL = "<tool_call>"
TOOL = VOCABULARY.token("<|tool|>")
END = VOCABULARY.token("<|im_end|>")

RULES: list[ReasoningRule | None] = [
    None,
    *(
        style.rule(prompt, calls, trims=trims)
        for style in (NAMED["think"], NAMED["harmony"])
        for prompt in ("", style.open, style.close)
        for calls in ((), (CALL,))
        for trims in (True, False)
    ),
]
STOPS = [
    (),
    ("STOP",),
    ("STOP", "TO"),
    ("ab", "b\n"),
    ("<",),
    ("</think>",),
    ("é", "\n\n"),
    (">a",),
]


@dataclass(frozen=True)
class Found:
    """What is found in an output: all of its bytes, and its text on either side."""

    raw: bytes
    reasoning: bytes
    answer: bytes


def found_in(spans: list[OutputSpan]) -> Found:
    assert all(span.text in span.raw for span in spans)
    return Found(
        b"".join(span.raw for span in spans),
        b"".join(span.text for span in spans if span.reasoning),
        b"".join(span.text for span in spans if not span.reasoning),
    )


def interpreted(
    rule: ReasoningRule | None,
    stops: tuple[str, ...],
    min_tokens: int,
    pieces: list[bytes],
    patience: int = 1,
) -> Found:
    """What an interpreter finds in these tokens; it is asked after each so many of them.

    No bytes stand for a token that is not text.
    """
    criteria = criteria_of(VOCABULARY, *stops, min_tokens=min_tokens)
    interpreter = OutputInterpreter(
        criteria, VOCABULARY, Splitter(rule) if rule is not None else None
    )
    spans: list[OutputSpan] = []
    for number, piece in enumerate(pieces, 1):
        stopped = interpreter.read(VOCABULARY.token_of(piece) if piece else TOOL)
        assert (interpreter.num_tokens, interpreter.num_bytes) == (number, len(piece))
        if stopped:
            spans += interpreter.spans(True)
            assert interpreter.spans(True) == ()
            return found_in(spans)
        if number % patience == 0:
            spans += interpreter.spans(False)
    spans += interpreter.spans(True)
    assert interpreter.spans(True) == ()
    return found_in(spans)


def reference(
    rule: ReasoningRule | None, stops: tuple[str, ...], min_tokens: int, pieces: list[bytes]
) -> Found:
    """The same by looking at the whole output at once."""
    whole = b"".join(pieces)
    if rule is None:
        reasoning, answer, begin = b"", whole, 0
    else:
        splitter = Splitter(rule)
        segments = [*splitter.feed(whole), *splitter.finish()]
        reasoning = b"".join(segment.text for segment in segments if segment.reasoning)
        answer = b"".join(segment.text for segment in segments if not segment.reasoning)
        begin = len(whole) - len(answer)
        assert whole[begin:] == answer
    unarmed = max(0, len(b"".join(pieces[:min_tokens])) - begin)
    matches = []
    for stop in (stop.encode() for stop in stops):
        at = answer.find(stop, max(0, unarmed + 1 - len(stop)))
        if at >= 0:
            matches.append((at + len(stop), at))
    if matches:
        _, at = min(matches)
        return Found(whole[: begin + at], reasoning, answer[:at])
    return Found(whole, reasoning, answer)


TAGS = ("<think>", "</think>", NAMED["harmony"].open, NAMED["harmony"].close, CALL)
PARTS = [
    *TAGS,
    *NAMED["harmony"].preludes,
    "STOP",
    "ST",
    "<",
    "</",
    " ",
    "\n",
    "\n\n",
    "a",
    "ab",
    "é",
]
outputs = st.lists(st.sampled_from(PARTS), max_size=9).map(lambda parts: "".join(parts).encode())
wild = st.binary(max_size=12)


@settings(max_examples=600, deadline=None)
@given(
    st.sampled_from(RULES),
    st.sampled_from(STOPS),
    st.integers(0, 5) | st.just(0),
    st.one_of(outputs, outputs, wild),
    st.lists(st.integers(0, 60), max_size=12),
    st.integers(1, 4),
)
def test_what_is_found_is_what_the_whole_output_holds_however_it_is_cut(
    rule: ReasoningRule | None,
    stops: tuple[str, ...],
    min_tokens: int,
    output: bytes,
    cuts: list[int],
    patience: int,
) -> None:
    edges = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    pieces = [output[begin:end] for begin, end in itertools.pairwise(edges)]
    expected = reference(rule, stops, min_tokens, pieces)
    assert interpreted(rule, stops, min_tokens, pieces) == expected
    assert interpreted(rule, stops, min_tokens, pieces, patience) == expected


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(RULES), st.sampled_from(STOPS), outputs, st.integers(0, 10**6))
def test_the_tokenisation_makes_no_difference(
    rule: ReasoningRule | None, stops: tuple[str, ...], output: bytes, seed: int
) -> None:
    draw = random.Random(seed)
    by_bytes = [bytes([byte]) for byte in output]
    own = [VOCABULARY.token_bytes(token) for token in VOCABULARY.tokenize(output.decode(), False)]
    ways = [[output], by_bytes, own]
    for pieces in (by_bytes, own):  # tokens that are not text in between
        interrupted: list[bytes] = []
        for piece in pieces:
            interrupted += [*[b""] * draw.randint(0, 1), piece]
        ways.append(interrupted)
    results = [interpreted(rule, stops, 0, pieces) for pieces in ways]
    assert results == [reference(rule, stops, 0, [output])] * len(ways)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(RULES),
    st.sampled_from(STOPS),
    outputs,
    st.lists(st.integers(0, 60), max_size=12),
)
def test_no_more_is_held_back_than_may_be_a_tag_white_space_or_a_stop(
    rule: ReasoningRule | None, stops: tuple[str, ...], output: bytes, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    interpreter = OutputInterpreter(
        criteria_of(VOCABULARY, *stops),
        VOCABULARY,
        Splitter(rule) if rule is not None else None,
    )
    tags: tuple[str, ...] = ()
    if rule is not None:
        tags = (rule.open, rule.close, *rule.preludes, *rule.interruptions)
    begun = [text.encode() for text in (*tags, *stops)]
    read, certain = b"", b""
    for begin, end in itertools.pairwise(edges):
        read += output[begin:end]
        if interpreter.read(VOCABULARY.token_of(output[begin:end])):
            return
        certain += b"".join(span.raw for span in interpreter.spans(False))
        assert read.startswith(certain)
        held = read[len(certain) :].strip(b" \t\r\n")
        assert not held or any(
            text.startswith(held) or text.strip().startswith(held) for text in begun
        )


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(RULES), outputs, st.lists(st.integers(0, 60), max_size=12))
def test_the_answer_of_each_token_adds_up_to_the_answer(
    rule: ReasoningRule | None, output: bytes, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    splitter = Splitter(rule) if rule is not None else None
    interpreter = OutputInterpreter(criteria_of(VOCABULARY), VOCABULARY, splitter)
    answer = b""
    for begin, end in itertools.pairwise(edges):
        interpreter.read(VOCABULARY.token_of(output[begin:end]))
        answer += interpreter.answer
    rest = b"".join(span.text for span in interpreter.spans(True) if not span.reasoning)
    expected = reference(rule, (), 0, [output]).answer
    assert rest == expected
    assert expected.startswith(answer)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(RULES),
    st.sampled_from(STOPS),
    outputs,
    st.lists(st.integers(0, 60), max_size=12),
)
@example(NAMED["think"].rule("<think>", (CALL,)), (), CALL.encode(), [])
def test_a_span_has_bytes(
    rule: ReasoningRule | None, stops: tuple[str, ...], output: bytes, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    splitter = Splitter(rule) if rule is not None else None
    interpreter = OutputInterpreter(criteria_of(VOCABULARY, *stops), VOCABULARY, splitter)
    for begin, end in itertools.pairwise(edges):
        stopped = interpreter.read(VOCABULARY.token_of(output[begin:end]))
        assert all(span.raw for span in interpreter.spans(stopped))
        if stopped:
            return
    assert all(span.raw for span in interpreter.spans(True))


def test_ends_are_known_and_are_not_text() -> None:
    interpreter = OutputInterpreter(criteria_of(VOCABULARY, "STOP"), VOCABULARY)
    assert [token for token in range(VOCABULARY.size) if interpreter.is_end(token)] == sorted(
        VOCABULARY.end_ids
    )
    assert not interpreter.read(END)
    assert (interpreter.num_tokens, interpreter.num_bytes) == (1, 0)
    assert interpreter.spans(True) == ()


def test_tags_and_white_space_are_output_without_text() -> None:
    interpreter = OutputInterpreter(
        criteria_of(VOCABULARY), VOCABULARY, Splitter(NAMED["think"].rule())
    )
    interpreter.read(VOCABULARY.token_of(b"\n<think> a \n</think>\n\n4"))
    assert interpreter.spans(False) == (
        OutputSpan(True, b"\n<think>", b""),
        OutputSpan(True, b" a", b"a"),
        OutputSpan(True, b" \n</think>", b""),
        OutputSpan(False, b"\n\n", b""),
        OutputSpan(False, b"4", b"4"),
    )


@pytest.mark.parametrize("later", [b"", b"x", b"STOP"])
def test_what_comes_after_a_stop_in_its_token_is_not_output(later: bytes) -> None:
    interpreter = OutputInterpreter(criteria_of(VOCABULARY, "STOP"), VOCABULARY)
    assert not interpreter.read(VOCABULARY.token_of(b"aS"))
    assert interpreter.spans(False) == (OutputSpan(False, b"a", b"a"),)
    assert interpreter.read(VOCABULARY.token_of(b"TOP" + later))
    assert interpreter.spans(True) == ()
