"""The reader: steps of tokens in, text and logprobs out, nothing lost and nothing too early."""

from collections.abc import Collection, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.output.reader import Delta, Reader
from friendli_endpoint.chat.reasoning.styles import STYLES
from friendli_endpoint.generation import OutputSpan, TokenFindings, TokenLogprob, TokenStep
from tests.support.chat import ChoiceReader, OpenVocabulary, choice_guide, criteria_of

VOCABULARY = OpenVocabulary()
END = VOCABULARY.token("<|im_end|>")
OTHER_END = VOCABULARY.token("<|endoftext|>")
TOOL = VOCABULARY.token("<|tool|>")
TOP = (TokenLogprob(OTHER_END, -2.0),)
THINK = STYLES[0]


def reading(
    *stops: str,
    prompt: str | None = None,
    parse: bool = True,
    include: bool = True,
    min_tokens: int = 0,
    ends: Collection[int] | None = None,
    silent: Collection[int] | None = None,
) -> ChoiceReader:
    """Reads one choice; without a prompt, of a model without reasoning."""
    criteria = criteria_of(VOCABULARY, *stops, min_tokens=min_tokens, ends=ends, silent=silent)
    rule = None if prompt is None else THINK.rule(prompt)
    guide = choice_guide(criteria, VOCABULARY, rule)
    return ChoiceReader(guide, Reader(VOCABULARY, parse=parse, include=include))


def tokens(*texts: str | bytes) -> list[int]:
    return [VOCABULARY.token(text) for text in texts]


def spelt(text: str | bytes) -> list[int]:
    """One token for each byte."""
    return [VOCABULARY.byte(byte) for byte in (text.encode() if isinstance(text, str) else text)]


def read(choice: ChoiceReader, ids: Iterable[int]) -> list[Delta]:
    """Reads tokens up to the end of the choice; the last one is the last there is room for."""
    return choice.read(ids, is_last=True, top=TOP)


def text(deltas: Iterable[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def reasoning(deltas: Iterable[Delta]) -> str:
    return "".join(delta.reasoning for delta in deltas)


def entries(deltas: Iterable[Delta]) -> list[bytes]:
    return [bytes(entry.bytes_ or ()) for delta in deltas for entry in delta.logprobs]


def pieces(ids: Iterable[int]) -> list[bytes]:
    return [VOCABULARY.token_bytes(token) for token in ids]


TEXT_IDS = st.integers(len(VOCABULARY.control_ids), VOCABULARY.size - 1)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=24), st.lists(st.integers(1, 5), max_size=24))
def test_text_is_utf8_whatever_the_bytes_and_their_pieces(output: bytes, cuts: list[int]) -> None:
    def shown(sizes: list[int]) -> str:
        choice, start = reading(), 0
        for size in [*sizes, len(output)]:
            piece, start = output[start : start + size], start + size
            choice.read([VOCABULARY.token_of(piece)])
        choice.read([END])
        return choice.text

    assert shown(cuts) == shown([1] * len(output)) == shown([])
    whole = output.decode(errors="replace")
    assert whole.startswith(shown(cuts))
    assert len(whole) - len(shown(cuts)) <= 1


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT_IDS, min_size=1, max_size=12))
def test_every_token_has_its_entry_in_order(ids: list[int]) -> None:
    deltas = read(reading(), [*ids, END])
    assert entries(deltas) == pieces(ids)
    assert text(deltas) == b"".join(pieces(ids)).decode(errors="replace")[: len(text(deltas))]


def test_an_entry_gives_the_tokens_bytes_and_its_top_ones() -> None:
    (delta,) = read(reading(), tokens("caf\xc3".encode("latin-1")))
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
    deltas = read(reading(), ids)
    assert [delta.text for delta in deltas] == ["caf", "é!", ""]
    assert entries(deltas) == pieces(ids)


def test_what_may_begin_a_stop_is_held_back_and_given_when_it_does_not() -> None:
    deltas = read(reading("STOP"), [*tokens("ST"), *spelt("O."), *tokens("ST")])
    assert [delta.text for delta in deltas] == ["", "", "STO.", "ST"]
    assert [len(delta.logprobs) for delta in deltas] == [0, 0, 3, 1]
    assert deltas[-1].finish == "length"


def test_a_stop_is_cut_out_with_the_entries_of_its_tokens() -> None:
    ids = [*spelt("ok"), *tokens(" the", "ST", "OP")]
    deltas = read(reading("STOP"), ids)
    assert text(deltas) == "ok the"
    assert entries(deltas) == [b"o", b"k", b" the"]
    assert deltas[-1].finish == "stop"


def test_a_token_that_holds_text_before_the_stop_keeps_its_entry() -> None:
    deltas = read(reading("eST"), tokens(" the", "ST"))
    assert text(deltas) == " th"
    assert entries(deltas) == [b" the"]


def test_text_after_a_stop_in_the_same_token_is_cut_off() -> None:
    deltas = read(reading("T"), tokens("the", "STOP"))
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
    choice = reading(*stops)
    shown = ""
    for count, token in enumerate(ids, 1):
        choice.read([token])
        shown = choice.text
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
    deltas = read(reading("STOP", min_tokens=2), ids)
    assert text(deltas) == "STOPa"
    assert entries(deltas) == [b"STOP", b"a"]


@pytest.mark.parametrize("end", sorted(VOCABULARY.end_ids))
def test_an_end_token_is_no_text_and_has_no_entry(end: int) -> None:
    deltas = read(reading(), [*tokens("the"), end])
    assert text(deltas) == "the"
    assert entries(deltas) == [b"the"]


def test_a_silent_control_token_is_no_text_but_has_its_entry() -> None:
    deltas = read(reading(), [*tokens("the"), TOOL, *tokens("ing")])
    assert text(deltas) == "theing"
    assert entries(deltas) == [b"the", b"<|tool|>", b"ing"]


def test_a_displaced_end_token_is_shown_as_its_text() -> None:
    mine = VOCABULARY.byte("!")
    silent = (VOCABULARY.control_ids - VOCABULARY.end_ids) | {mine}
    deltas = read(reading(ends={mine}, silent=silent), [*tokens("the"), END, mine])
    assert text(deltas) == "the<|im_end|>"
    assert entries(deltas) == [b"the", b"<|im_end|>"]


def test_a_choice_may_end_without_a_token() -> None:
    choice = reading("STOP")
    (read_first,) = choice.read(tokens("ST"))
    last = choice.end("length")
    assert read_first.text == ""
    assert (last.text, last.finish) == ("ST", "length")
    assert entries([read_first, last]) == [b"ST"]


THOUGHT = "<think>\nhm é\n</think>\n\nfour"


def test_parsed_reasoning_is_given_apart_with_its_entries() -> None:
    deltas = read(reading(prompt=""), spelt(THOUGHT))
    assert (reasoning(deltas), text(deltas)) == ("hm é", "four")
    assert b"".join(entries(deltas)) == THOUGHT.encode()


def test_reasoning_that_is_not_included_goes_with_its_entries() -> None:
    deltas = read(reading(prompt="", include=False), spelt(THOUGHT))
    assert (reasoning(deltas), text(deltas)) == ("", "four")
    assert b"".join(entries(deltas)).strip() == b"four"


def test_entries_of_tokens_that_are_not_text_go_with_the_reasoning_they_stand_in() -> None:
    ids = [*spelt("<think>a"), TOOL, *spelt("b</think>4"), TOOL]
    shown = entries(read(reading(prompt="", include=False), ids))
    assert shown == [b"4", b"<|tool|>"]
    assert entries(read(reading(prompt=""), ids)) == pieces(ids)


@pytest.mark.parametrize("include", [True, False])
def test_reasoning_that_is_not_parsed_stays_as_the_model_wrote_it(include: bool) -> None:
    deltas = read(reading(prompt="", parse=False, include=include), spelt(THOUGHT))
    assert (reasoning(deltas), text(deltas)) == ("", THOUGHT)
    assert b"".join(entries(deltas)) == THOUGHT.encode()


def test_a_prompt_that_opened_the_tag_begins_in_the_reasoning() -> None:
    deltas = read(reading(prompt="go<think>\n"), spelt("hm</think>4"))
    assert (reasoning(deltas), text(deltas)) == ("hm", "4")


@pytest.mark.parametrize("parse", [True, False])
def test_stops_are_not_searched_in_reasoning(parse: bool) -> None:
    ids = [*spelt("<think>"), *tokens("STOP"), *spelt("</think>a"), *tokens("STOP")]
    deltas = read(reading("STOP", prompt="", parse=parse), ids)
    assert text(deltas) == ("a" if parse else "<think>STOP</think>a")
    assert reasoning(deltas) == ("STOP" if parse else "")
    assert entries(deltas)[-1] == b"a"


@pytest.mark.parametrize("parse", [True, False])
def test_a_stop_does_not_begin_in_reasoning_and_end_in_the_answer(parse: bool) -> None:
    deltas = read(reading(">x", prompt="", parse=parse), spelt("<think>a</think>x>x"))
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
        choice = reading(*stops, prompt=prompt, parse=parse, include=include)
        deltas = read(choice, [*ids, END])
        return reasoning(deltas), text(deltas)

    assert both(spelt(output)) == both(VOCABULARY.tokenize(output, False))


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=8).map("".join), st.booleans(), st.sampled_from(["", "<think>"]))
def test_no_entry_is_lost_or_doubled_around_reasoning(
    output: str, parse: bool, prompt: str
) -> None:
    ids = VOCABULARY.tokenize(output, False)
    deltas = read(reading(prompt=prompt, parse=parse), [*ids, END])
    assert entries(deltas) == pieces(ids)


def test_an_entry_goes_out_when_the_bytes_its_token_begins_with_are_certain() -> None:
    choice = reading("STOP", prompt="")
    deltas = read(choice, VOCABULARY.tokenize("<think>a</think>\n\nbSTx", False))
    shown, given = "", b""
    for delta in deltas:
        shown += delta.text + delta.reasoning
        given += b"".join(entries([delta]))
    assert (shown, given) == ("abSTx", b"<think>a</think>\n\nbSTx")
    choice = reading("STOP", prompt="")
    held = choice.read(tokens("ST"))
    assert entries(held) == []
    assert entries(choice.read(spelt("x"))) == [b"ST", b"x"]


def test_spans_are_decoded_as_they_come() -> None:
    reader = Reader(VOCABULARY)
    step = TokenStep(
        0,
        VOCABULARY.token_of(b"<t>\n\xc3"),
        TokenFindings(
            5,
            (OutputSpan(True, b"<t>", b""), OutputSpan(False, b"\n\xc3", b"\xc3")),
        ),
    )
    assert reader.read(step) == Delta("", "", (), None)
    end = TokenFindings(1, (OutputSpan(False, b"\xa9", b"\xa9"),), "length")
    assert reader.read(TokenStep(0, VOCABULARY.token_of(b"\xa9"), end)) == Delta(
        "é", "", (), "length"
    )
