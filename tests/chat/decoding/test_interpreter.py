"""The interpreter of an output: its findings do not depend on the tokenization."""

import itertools
import random
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.decoding.interpreter import OutputInterpreter
from friendli_endpoint.chat.reasoning.splitter import ReasoningSplitter
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
        for style in (NAMED["think"], NAMED["harmony"], NAMED["think_response"])
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
class Interpretation:
    """The raw bytes of an output, and the text of its reasoning and of its answer."""

    raw: bytes
    reasoning: bytes
    answer: bytes


def joined(spans: list[OutputSpan]) -> Interpretation:
    assert all(span.text in span.raw for span in spans)
    return Interpretation(
        b"".join(span.raw for span in spans),
        b"".join(span.text for span in spans if span.reasoning),
        b"".join(span.text for span in spans if not span.reasoning),
    )


def interpret(
    rule: ReasoningRule | None,
    stops: tuple[str, ...],
    min_tokens: int,
    chunks: list[bytes],
    interval: int = 1,
) -> Interpretation:
    """Interprets a chunk for each token; collects the spans after every `interval` tokens.

    An empty chunk is a token that is not text.
    """
    criteria = criteria_of(VOCABULARY, *stops, min_tokens=min_tokens)
    interpreter = OutputInterpreter(
        criteria, VOCABULARY, ReasoningSplitter(rule) if rule is not None else None
    )
    spans: list[OutputSpan] = []
    for number, chunk in enumerate(chunks, 1):
        stopped = interpreter.read(VOCABULARY.token_of(chunk) if chunk else TOOL)
        assert (interpreter.num_tokens, interpreter.num_bytes) == (number, len(chunk))
        if stopped:
            spans += interpreter.spans(True)
            assert interpreter.spans(True) == ()
            return joined(spans)
        if number % interval == 0:
            spans += interpreter.spans(False)
    spans += interpreter.spans(True)
    assert interpreter.spans(True) == ()
    return joined(spans)


def reference(
    rule: ReasoningRule | None, stops: tuple[str, ...], min_tokens: int, chunks: list[bytes]
) -> Interpretation:
    """Interprets the whole output at once."""
    whole = b"".join(chunks)
    reasoning, answer, places = b"", whole, list(range(len(whole)))
    if rule is not None:
        splitter = ReasoningSplitter(rule)
        segments = [*splitter.feed(whole), *splitter.finish()]
        reasoning = b"".join(segment.text for segment in segments if segment.reasoning)
        answer, places, end = b"", [], 0
        for segment in segments:
            end += len(segment.raw)
            if not segment.reasoning:
                answer += segment.text
                places += range(end - len(segment.text), end)
    ignored = sum(place < len(b"".join(chunks[:min_tokens])) for place in places)
    matches = []
    for stop in (stop.encode() for stop in stops):
        at = answer.find(stop, max(0, ignored + 1 - len(stop)))
        if at >= 0:
            matches.append((at + len(stop), at))
    if matches:
        _, at = min(matches)
        return Interpretation(whole[: places[at]], reasoning, answer[:at])
    return Interpretation(whole, reasoning, answer)


TAGS = ("<think>", "</think>", NAMED["harmony"].open, NAMED["harmony"].close, CALL)
PARTS = [
    *TAGS,
    *NAMED["harmony"].preludes,
    "<response>",
    "</response>",
    "</resp",
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
def test_the_interpretation_equals_that_of_the_whole_output_for_any_chunking(
    rule: ReasoningRule | None,
    stops: tuple[str, ...],
    min_tokens: int,
    output: bytes,
    cuts: list[int],
    interval: int,
) -> None:
    edges = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    chunks = [output[begin:end] for begin, end in itertools.pairwise(edges)]
    expected = reference(rule, stops, min_tokens, chunks)
    assert interpret(rule, stops, min_tokens, chunks) == expected
    assert interpret(rule, stops, min_tokens, chunks, interval) == expected


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(RULES), st.sampled_from(STOPS), outputs, st.integers(0, 10**6))
def test_the_interpretation_does_not_depend_on_the_tokenization(
    rule: ReasoningRule | None, stops: tuple[str, ...], output: bytes, seed: int
) -> None:
    draw = random.Random(seed)
    by_bytes = [bytes([byte]) for byte in output]
    own = [VOCABULARY.token_bytes(token) for token in VOCABULARY.tokenize(output.decode(), False)]
    tokenizations = [[output], by_bytes, own]
    for chunks in (by_bytes, own):  # with tokens between them that are not text
        interrupted: list[bytes] = []
        for chunk in chunks:
            interrupted += [*[b""] * draw.randint(0, 1), chunk]
        tokenizations.append(interrupted)
    results = [interpret(rule, stops, 0, chunks) for chunks in tokenizations]
    assert results == [reference(rule, stops, 0, [output])] * len(tokenizations)


def begins(texts: list[bytes], held: bytes) -> bool:
    """Whether one of the texts begins with the bytes, but for white space around both."""
    held = held.strip(b" \t\r\n")
    return any(text.startswith(held) or text.strip().startswith(held) for text in (b"", *texts))


def without_tags(held: bytes, closing: bytes) -> bytes:
    """Returns what follows leading tags that may still turn out to be the end of the answer."""
    held = held.strip(b" \t\r\n")
    while closing and held.startswith(closing):
        held = held[len(closing) :].strip(b" \t\r\n")
    return held


@settings(max_examples=300, deadline=None)
@example(
    next(rule for rule in RULES if rule is not None and rule.answer_close),
    ("</think>",),
    b"<</response><",
    [],
)
@given(
    st.sampled_from(RULES),
    st.sampled_from(STOPS),
    outputs,
    st.lists(st.integers(0, 60), max_size=12),
)
def test_only_white_space_and_possible_tags_and_stops_are_held_back(
    rule: ReasoningRule | None, stops: tuple[str, ...], output: bytes, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    interpreter = OutputInterpreter(
        criteria_of(VOCABULARY, *stops),
        VOCABULARY,
        ReasoningSplitter(rule) if rule is not None else None,
    )
    tags: tuple[str, ...] = ()
    if rule is not None:
        tags = (*rule.opens, *rule.closes, *rule.preludes, *rule.interruptions)
        tags += (rule.answer_open, rule.answer_close)
    candidates = [text.encode() for text in (*tags, *stops)]
    read, certain = b"", b""
    for begin, end in itertools.pairwise(edges):
        read += output[begin:end]
        if interpreter.read(VOCABULARY.token_of(output[begin:end])):
            return
        certain += b"".join(span.raw for span in interpreter.spans(False))
        assert read.startswith(certain)
        held = read[len(certain) :].strip(b" \t\r\n")
        closing = rule.answer_close.encode() if rule is not None else b""
        # The text before what may be a tag may itself be the beginning of a stop.
        assert any(
            begins(candidates, held[:cut]) and begins(candidates, without_tags(held[cut:], closing))
            for cut in (range(len(held) + 1) if closing else (0,))
        )


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(RULES), outputs, st.lists(st.integers(0, 60), max_size=12))
def test_the_answers_of_the_tokens_concatenate_to_the_answer(
    rule: ReasoningRule | None, output: bytes, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    splitter = ReasoningSplitter(rule) if rule is not None else None
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
def test_spans_are_never_empty(
    rule: ReasoningRule | None, stops: tuple[str, ...], output: bytes, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    splitter = ReasoningSplitter(rule) if rule is not None else None
    interpreter = OutputInterpreter(criteria_of(VOCABULARY, *stops), VOCABULARY, splitter)
    for begin, end in itertools.pairwise(edges):
        stopped = interpreter.read(VOCABULARY.token_of(output[begin:end]))
        assert all(span.raw for span in interpreter.spans(stopped))
        if stopped:
            return
    assert all(span.raw for span in interpreter.spans(True))


def test_end_tokens_are_recognised_and_are_not_text() -> None:
    interpreter = OutputInterpreter(criteria_of(VOCABULARY, "STOP"), VOCABULARY)
    assert [token for token in range(VOCABULARY.size) if interpreter.is_end(token)] == sorted(
        VOCABULARY.end_ids
    )
    assert not interpreter.read(END)
    assert (interpreter.num_tokens, interpreter.num_bytes) == (1, 0)
    assert interpreter.spans(True) == ()


def test_tags_and_white_space_are_output_without_text() -> None:
    interpreter = OutputInterpreter(
        criteria_of(VOCABULARY), VOCABULARY, ReasoningSplitter(NAMED["think"].rule())
    )
    interpreter.read(VOCABULARY.token_of(b"\n<think> a \n</think>\n\n4"))
    assert interpreter.spans(False) == (
        OutputSpan(True, b"\n<think>", b""),
        OutputSpan(True, b" a", b"a"),
        OutputSpan(True, b" \n</think>", b""),
        OutputSpan(False, b"\n\n", b""),
        OutputSpan(False, b"4"),
    )


@pytest.mark.parametrize("later", [b"", b"x", b"STOP"])
def test_bytes_after_a_stop_in_the_same_token_are_not_output(later: bytes) -> None:
    interpreter = OutputInterpreter(criteria_of(VOCABULARY, "STOP"), VOCABULARY)
    assert not interpreter.read(VOCABULARY.token_of(b"aS"))
    assert interpreter.spans(False) == (OutputSpan(False, b"a"),)
    assert interpreter.read(VOCABULARY.token_of(b"TOP" + later))
    assert interpreter.spans(True) == ()
