"""The reader: steps of tokens in, text and logprobs out, nothing lost and nothing too early."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.decoding.guide import Ending
from friendli_endpoint.chat.output.reader import Delta, Reader
from friendli_endpoint.chat.reasoning.splitter import STYLES, Splitter
from friendli_endpoint.chat.stop_strings import StopSet
from friendli_endpoint.chat.tokens import bitmask_without
from friendli_endpoint.generation import FinishReason, TokenLogprob, TokenStep
from tests.support.scripted import ScriptedVocabulary

VOCABULARY = ScriptedVocabulary()
END = VOCABULARY.token("<|im_end|>")
OTHER_END = VOCABULARY.token("<|endoftext|>")
TOOL = VOCABULARY.token("<|tool|>")
THINK = STYLES[0]


def ending(
    *stops: str,
    min_tokens: int = 0,
    ends: Iterable[int] = VOCABULARY.end_ids,
    silent: Iterable[int] = VOCABULARY.control_ids,
) -> Ending:
    return Ending(
        frozenset(ends),
        frozenset(silent),
        StopSet(stops) if stops else None,
        min_tokens,
        bitmask_without(ends, VOCABULARY.size),
    )


def tokens(*texts: str | bytes) -> list[int]:
    return [VOCABULARY.token(text) for text in texts]


def spelt(text: str | bytes) -> list[int]:
    """One token for each byte."""
    return [VOCABULARY.byte(byte) for byte in (text.encode() if isinstance(text, str) else text)]


def steps(ids: Iterable[int], finish: FinishReason = "stop") -> list[TokenStep]:
    ids = list(ids)
    return [
        TokenStep(
            0,
            token,
            VOCABULARY.piece(token),
            TokenLogprob(token, -0.5),
            (TokenLogprob(token, -0.5), TokenLogprob(OTHER_END, -2.0)),
            finish if index == len(ids) - 1 else None,
        )
        for index, token in enumerate(ids)
    ]


def read(reader: Reader, ids: Iterable[int], finish: FinishReason = "stop") -> list[Delta]:
    return [reader.read(step) for step in steps(ids, finish)]


def text(deltas: Iterable[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def reasoning(deltas: Iterable[Delta]) -> str:
    return "".join(delta.reasoning for delta in deltas)


def entries(deltas: Iterable[Delta]) -> list[bytes]:
    return [bytes(entry.bytes_ or ()) for delta in deltas for entry in delta.logprobs]


def pieces(ids: Iterable[int]) -> list[bytes]:
    return [VOCABULARY.piece(token) for token in ids]


TEXT_IDS = st.integers(len(VOCABULARY.control_ids), VOCABULARY.size - 1)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=24), st.lists(st.integers(1, 5), max_size=24))
def test_text_is_utf8_whatever_the_bytes_and_their_pieces(output: bytes, cuts: list[int]) -> None:
    def shown(sizes: list[int]) -> str:
        reader, start, parts = Reader(ending(), VOCABULARY), 0, []
        for size in [*sizes, len(output)]:
            piece, start = output[start : start + size], start + size
            parts.append(reader.read(TokenStep(0, VOCABULARY.byte("x"), piece)).text)
        parts.append(reader.read(TokenStep(0, END, b"", finish="stop")).text)
        return "".join(parts)

    assert shown(cuts) == shown([1] * len(output)) == shown([])
    whole = output.decode(errors="replace")
    assert whole.startswith(shown(cuts))
    assert len(whole) - len(shown(cuts)) <= 1


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT_IDS, min_size=1, max_size=12))
def test_every_token_has_its_entry_in_order(ids: list[int]) -> None:
    deltas = read(Reader(ending(), VOCABULARY), [*ids, END])
    assert entries(deltas) == pieces(ids)
    assert text(deltas) == b"".join(pieces(ids)).decode(errors="replace")[: len(text(deltas))]


def test_an_entry_gives_the_tokens_bytes_and_its_top_ones() -> None:
    (delta,) = read(Reader(ending(), VOCABULARY), tokens("caf\xc3".encode("latin-1")), "length")
    (entry,) = delta.logprobs
    assert entry.token == "caf\N{REPLACEMENT CHARACTER}"
    assert entry.bytes_ == [99, 97, 102, 0xC3]
    assert entry.logprob == -0.5
    assert [(top.token, top.logprob) for top in entry.top_logprobs] == [
        ("caf\N{REPLACEMENT CHARACTER}", -0.5),
        ("<|endoftext|>", -2.0),
    ]


def test_a_code_point_waits_for_its_last_byte_and_is_dropped_without() -> None:
    ids = tokens(b"caf\xc3", b"\xa9!", b"\xf0\x9f")
    deltas = read(Reader(ending(), VOCABULARY), ids, "length")
    assert [delta.text for delta in deltas] == ["caf", "é!", ""]
    assert entries(deltas) == pieces(ids)


def test_what_may_begin_a_stop_is_held_back_and_given_when_it_does_not() -> None:
    reader = Reader(ending("STOP"), VOCABULARY)
    deltas = read(reader, [*tokens("ST"), *spelt("O."), *tokens("ST")], "length")
    assert [delta.text for delta in deltas] == ["", "", "STO.", "ST"]
    assert [len(delta.logprobs) for delta in deltas] == [0, 0, 3, 1]
    assert deltas[-1].finish == "length"


def test_a_stop_is_cut_out_with_the_entries_of_its_tokens() -> None:
    ids = [*spelt("ok"), *tokens(" the", "ST", "OP")]
    deltas = read(Reader(ending("STOP"), VOCABULARY), ids)
    assert text(deltas) == "ok the"
    assert entries(deltas) == [b"o", b"k", b" the"]
    assert deltas[-1].finish == "stop"


def test_a_token_that_holds_text_before_the_stop_keeps_its_entry() -> None:
    deltas = read(Reader(ending("eST"), VOCABULARY), tokens(" the", "ST"))
    assert text(deltas) == " th"
    assert entries(deltas) == [b" the"]


def test_text_after_a_stop_in_the_same_token_is_cut_off() -> None:
    deltas = read(Reader(ending("T"), VOCABULARY), tokens("the", "STOP"))
    assert text(deltas) == "theS"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([*tokens("ST", "OP", "END", "STOP"), *spelt("STOEND.")]), max_size=8),
    st.sampled_from([("STOP",), ("TS", "END"), ("OP", "STOP")]),
)
def test_the_text_ends_before_the_stop_and_holds_back_no_more_than_one(
    ids: list[int], stops: tuple[str, ...]
) -> None:
    full = b"".join(pieces(ids)).decode()
    reader = Reader(ending(*stops), VOCABULARY)
    shown = ""
    for count, step in enumerate(steps([*ids, VOCABULARY.byte("\n")], "length")[:-1], 1):
        shown += reader.read(step).text
        so_far = b"".join(pieces(ids[:count])).decode()
        if any(stop in so_far for stop in stops):
            ends = [so_far.index(stop) + len(stop) for stop in stops if stop in so_far]
            first = max(
                (stop for stop in stops if so_far[: min(ends)].endswith(stop)),
                key=len,
            )
            assert shown == so_far[: min(ends) - len(first)]
            return
        held = so_far[len(shown) :]
        assert so_far.startswith(shown)
        assert not held or any(stop.startswith(held) for stop in stops)
    assert shown == full[: len(shown)]


def test_stops_count_only_after_min_tokens() -> None:
    ids = [*tokens("STOP"), *spelt("a"), *tokens("STOP")]
    deltas = read(Reader(ending("STOP", min_tokens=2), VOCABULARY), ids)
    assert text(deltas) == "STOPa"
    assert entries(deltas) == [b"STOP", b"a"]


@pytest.mark.parametrize("end", sorted(VOCABULARY.end_ids))
def test_an_end_token_is_no_text_and_has_no_entry(end: int) -> None:
    deltas = read(Reader(ending(), VOCABULARY), [*tokens("the"), end])
    assert text(deltas) == "the"
    assert entries(deltas) == [b"the"]


def test_a_silent_control_token_is_no_text_but_has_its_entry() -> None:
    deltas = read(Reader(ending(), VOCABULARY), [*tokens("the"), TOOL, *tokens("ing")])
    assert text(deltas) == "theing"
    assert entries(deltas) == [b"the", b"<|tool|>", b"ing"]


def test_a_displaced_end_token_is_shown_as_its_text() -> None:
    mine = VOCABULARY.byte("!")
    rule = ending(ends={mine}, silent=(VOCABULARY.control_ids - VOCABULARY.end_ids) | {mine})
    deltas = read(Reader(rule, VOCABULARY), [*tokens("the"), END, mine])
    assert text(deltas) == "the<|im_end|>"
    assert entries(deltas) == [b"the", b"<|im_end|>"]


def test_a_choice_may_end_without_a_token() -> None:
    reader = Reader(ending("STOP"), VOCABULARY)
    read_first = reader.read(steps(tokens("ST", "the"))[0])
    last = reader.read(TokenStep(0, None, b"", finish="length"))
    assert read_first.text == ""
    assert (last.text, last.finish) == ("ST", "length")
    assert entries([read_first, last]) == [b"ST"]


THOUGHT = "<think>\nhm é\n</think>\n\nfour"


def thinking(prompt: str = "", *stops: str, parse: bool = True, include: bool = True) -> Reader:
    return Reader(ending(*stops), VOCABULARY, Splitter(THINK, prompt), parse=parse, include=include)


def test_parsed_reasoning_is_given_apart_with_its_entries() -> None:
    deltas = read(thinking(), spelt(THOUGHT))
    assert (reasoning(deltas), text(deltas)) == ("hm é", "four")
    assert b"".join(entries(deltas)) == THOUGHT.encode()


def test_reasoning_that_is_not_included_goes_with_its_entries() -> None:
    deltas = read(thinking(include=False), spelt(THOUGHT))
    assert (reasoning(deltas), text(deltas)) == ("", "four")
    assert b"".join(entries(deltas)).strip() == b"four"


@pytest.mark.parametrize("include", [True, False])
def test_reasoning_that_is_not_parsed_stays_as_the_model_wrote_it(include: bool) -> None:
    deltas = read(thinking(parse=False, include=include), spelt(THOUGHT))
    assert (reasoning(deltas), text(deltas)) == ("", THOUGHT)
    assert b"".join(entries(deltas)) == THOUGHT.encode()


def test_a_prompt_that_opened_the_tag_begins_in_the_reasoning() -> None:
    deltas = read(thinking("go<think>\n"), spelt("hm</think>4"))
    assert (reasoning(deltas), text(deltas)) == ("hm", "4")


@pytest.mark.parametrize("parse", [True, False])
def test_stops_are_not_searched_in_reasoning(parse: bool) -> None:
    ids = [*spelt("<think>"), *tokens("STOP"), *spelt("</think>a"), *tokens("STOP")]
    deltas = read(thinking("", "STOP", parse=parse), ids)
    assert text(deltas) == ("a" if parse else "<think>STOP</think>a")
    assert reasoning(deltas) == ("STOP" if parse else "")
    assert entries(deltas)[-1] == b"a"


@pytest.mark.parametrize("parse", [True, False])
def test_a_stop_does_not_begin_in_reasoning_and_end_in_the_answer(parse: bool) -> None:
    deltas = read(thinking("", ">x", parse=parse), spelt("<think>a</think>x>x"))
    assert text(deltas) == ("x" if parse else "<think>a</think>x")


PARTS = st.sampled_from(["<think>", "</think>", "\n", " ", "hm", "é", "<", "</", "the", "STOP"])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(PARTS, max_size=8).map("".join),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "<think>"]),
    st.sampled_from([(), ("STOP",), ("\nhm",)]),
)
def test_tokens_of_any_length_give_the_same_text(
    output: str, parse: bool, include: bool, prompt: str, stops: tuple[str, ...]
) -> None:
    def both(ids: list[int]) -> tuple[str, str]:
        reader = thinking(prompt, *stops, parse=parse, include=include)
        deltas = read(reader, [*ids, END])
        return reasoning(deltas), text(deltas)

    assert both(spelt(output)) == both(VOCABULARY.tokenize(output, False))


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=8).map("".join), st.booleans(), st.sampled_from(["", "<think>"]))
def test_no_entry_is_lost_or_doubled_around_reasoning(
    output: str, parse: bool, prompt: str
) -> None:
    ids = VOCABULARY.tokenize(output, False)
    deltas = read(thinking(prompt, parse=parse), [*ids, END])
    assert entries(deltas) == pieces(ids)
