"""The reader: from steps to text and log probabilities, complete and never too early."""

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
    suppressed: Collection[int] | None = None,
) -> ChoiceReader:
    """Returns a reader of one choice; without a prompt, of a model without reasoning."""
    criteria = criteria_of(
        VOCABULARY, *stops, min_tokens=min_tokens, ends=ends, suppressed=suppressed
    )
    rule = None if prompt is None else THINK.rule(prompt)
    guide = choice_guide(criteria, VOCABULARY, rule)
    return ChoiceReader(guide, Reader(VOCABULARY, parse=parse, include=include))


def tokens(*texts: str | bytes) -> list[int]:
    return [VOCABULARY.token(text) for text in texts]


def byte_ids(text: str | bytes) -> list[int]:
    """Returns one token for each byte."""
    return [VOCABULARY.byte(byte) for byte in (text.encode() if isinstance(text, str) else text)]


def read(choice: ChoiceReader, ids: Iterable[int]) -> list[Delta]:
    """Reads tokens up to the end of the choice; the last one reaches the maximum length."""
    return choice.read(ids, is_last=True, top=TOP)


def text(deltas: Iterable[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def reasoning(deltas: Iterable[Delta]) -> str:
    return "".join(delta.reasoning for delta in deltas)


def entries(deltas: Iterable[Delta]) -> list[bytes]:
    return [bytes(entry.bytes_ or ()) for delta in deltas for entry in delta.logprobs]


def token_texts(ids: Iterable[int]) -> list[bytes]:
    return [VOCABULARY.token_bytes(token) for token in ids]


TEXT_IDS = st.integers(len(VOCABULARY.control_ids), VOCABULARY.size - 1)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=24), st.lists(st.integers(1, 5), max_size=24))
def test_any_bytes_in_any_chunks_become_valid_utf8(output: bytes, cuts: list[int]) -> None:
    def text_of(sizes: list[int]) -> str:
        choice, start = reading(), 0
        for size in [*sizes, len(output)]:
            chunk, start = output[start : start + size], start + size
            choice.read([VOCABULARY.token_of(chunk)])
        choice.read([END])
        return choice.text

    assert text_of(cuts) == text_of([1] * len(output)) == text_of([])
    whole = output.decode(errors="replace")
    assert whole.startswith(text_of(cuts))
    assert len(whole) - len(text_of(cuts)) <= 1


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT_IDS, min_size=1, max_size=12))
def test_every_token_has_its_entry_in_order(ids: list[int]) -> None:
    deltas = read(reading(), [*ids, END])
    assert entries(deltas) == token_texts(ids)
    assert text(deltas) == b"".join(token_texts(ids)).decode(errors="replace")[: len(text(deltas))]


def test_an_entry_has_the_bytes_of_its_token_and_the_top_logprobs() -> None:
    (delta,) = read(reading(), tokens("caf\xc3".encode("latin-1")))
    (entry,) = delta.logprobs
    assert entry.token == "caf\N{REPLACEMENT CHARACTER}"
    assert entry.bytes_ == [99, 97, 102, 0xC3]
    assert entry.logprob == -0.5
    assert [(top.token, top.logprob) for top in entry.top_logprobs] == [
        ("caf\N{REPLACEMENT CHARACTER}", -0.5),
        ("<|endoftext|>", -2.0),
    ]


def test_a_code_point_is_output_with_its_last_byte_or_dropped() -> None:
    ids = tokens(b"caf\xc3", b"\xa9!", b"\xf0\x9f")
    deltas = read(reading(), ids)
    assert [delta.text for delta in deltas] == ["caf", "é!", ""]
    assert entries(deltas) == token_texts(ids)


def test_a_possible_stop_is_held_back_and_output_when_it_is_ruled_out() -> None:
    deltas = read(reading("STOP"), [*tokens("ST"), *byte_ids("O."), *tokens("ST")])
    assert [delta.text for delta in deltas] == ["", "", "STO.", "ST"]
    assert [len(delta.logprobs) for delta in deltas] == [0, 0, 3, 1]
    assert deltas[-1].finish == "length"


def test_a_stop_is_removed_with_the_entries_of_its_tokens() -> None:
    ids = [*byte_ids("ok"), *tokens(" the", "ST", "OP")]
    deltas = read(reading("STOP"), ids)
    assert text(deltas) == "ok the"
    assert entries(deltas) == [b"o", b"k", b" the"]
    assert deltas[-1].finish == "stop"


def test_a_token_with_text_before_the_stop_keeps_its_entry() -> None:
    deltas = read(reading("eST"), tokens(" the", "ST"))
    assert text(deltas) == " th"
    assert entries(deltas) == [b" the"]


def test_text_after_a_stop_in_the_same_token_is_removed() -> None:
    deltas = read(reading("T"), tokens("the", "STOP"))
    assert text(deltas) == "theS"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([*tokens("ST", "OP", "END", "STOP"), *byte_ids("STOEND.")]), max_size=8
    ),
    st.sampled_from([("STOP",), ("TS", "END"), ("OP", "STOP")]),
)
def test_the_text_ends_before_the_stop_and_only_a_possible_stop_is_held_back(
    ids: list[int], stops: tuple[str, ...]
) -> None:
    full = b"".join(token_texts(ids)).decode()
    choice = reading(*stops)
    text_so_far = ""
    for count, token in enumerate(ids, 1):
        choice.read([token])
        text_so_far = choice.text
        output_so_far = b"".join(token_texts(ids[:count])).decode()
        if any(stop in output_so_far for stop in stops):
            ends = [
                output_so_far.index(stop) + len(stop) for stop in stops if stop in output_so_far
            ]
            first = max(
                (stop for stop in stops if output_so_far[: min(ends)].endswith(stop)),
                key=len,
            )
            assert text_so_far == output_so_far[: min(ends) - len(first)]
            return
        held = output_so_far[len(text_so_far) :]
        assert output_so_far.startswith(text_so_far)
        assert not held or any(stop.startswith(held) for stop in stops)
    assert text_so_far == full[: len(text_so_far)]


def test_stops_count_only_after_min_tokens() -> None:
    ids = [*tokens("STOP"), *byte_ids("a"), *tokens("STOP")]
    deltas = read(reading("STOP", min_tokens=2), ids)
    assert text(deltas) == "STOPa"
    assert entries(deltas) == [b"STOP", b"a"]


@pytest.mark.parametrize("end", sorted(VOCABULARY.end_ids))
def test_an_end_token_has_no_text_and_no_entry(end: int) -> None:
    deltas = read(reading(), [*tokens("the"), end])
    assert text(deltas) == "the"
    assert entries(deltas) == [b"the"]


def test_a_suppressed_control_token_has_no_text_but_an_entry() -> None:
    deltas = read(reading(), [*tokens("the"), TOOL, *tokens("ing")])
    assert text(deltas) == "theing"
    assert entries(deltas) == [b"the", b"<|tool|>", b"ing"]


def test_an_end_token_replaced_by_eos_token_is_text() -> None:
    own_end = VOCABULARY.byte("!")
    suppressed = (VOCABULARY.control_ids - VOCABULARY.end_ids) | {own_end}
    deltas = read(reading(ends={own_end}, suppressed=suppressed), [*tokens("the"), END, own_end])
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


def test_parsed_reasoning_is_separate_and_has_its_entries() -> None:
    deltas = read(reading(prompt=""), byte_ids(THOUGHT))
    assert (reasoning(deltas), text(deltas)) == ("hm é", "four")
    assert b"".join(entries(deltas)) == THOUGHT.encode()


def test_reasoning_that_is_not_included_is_dropped_with_its_entries() -> None:
    deltas = read(reading(prompt="", include=False), byte_ids(THOUGHT))
    assert (reasoning(deltas), text(deltas)) == ("", "four")
    assert b"".join(entries(deltas)).strip() == b"four"


def test_entries_of_suppressed_tokens_are_dropped_with_the_reasoning_around_them() -> None:
    ids = [*byte_ids("<think>a"), TOOL, *byte_ids("b</think>4"), TOOL]
    reported = entries(read(reading(prompt="", include=False), ids))
    assert reported == [b"4", b"<|tool|>"]
    assert entries(read(reading(prompt=""), ids)) == token_texts(ids)


@pytest.mark.parametrize("include", [True, False])
def test_reasoning_that_is_not_parsed_stays_in_the_text(include: bool) -> None:
    deltas = read(reading(prompt="", parse=False, include=include), byte_ids(THOUGHT))
    assert (reasoning(deltas), text(deltas)) == ("", THOUGHT)
    assert b"".join(entries(deltas)) == THOUGHT.encode()


def test_a_prompt_that_ends_with_the_open_tag_starts_in_the_reasoning() -> None:
    deltas = read(reading(prompt="go<think>\n"), byte_ids("hm</think>4"))
    assert (reasoning(deltas), text(deltas)) == ("hm", "4")


@pytest.mark.parametrize("parse", [True, False])
def test_stop_strings_are_ignored_in_reasoning(parse: bool) -> None:
    ids = [*byte_ids("<think>"), *tokens("STOP"), *byte_ids("</think>a"), *tokens("STOP")]
    deltas = read(reading("STOP", prompt="", parse=parse), ids)
    assert text(deltas) == ("a" if parse else "<think>STOP</think>a")
    assert reasoning(deltas) == ("STOP" if parse else "")
    assert entries(deltas)[-1] == b"a"


@pytest.mark.parametrize("parse", [True, False])
def test_a_stop_cannot_span_reasoning_and_answer(parse: bool) -> None:
    deltas = read(reading(">x", prompt="", parse=parse), byte_ids("<think>a</think>x>x"))
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
def test_the_text_does_not_depend_on_the_tokenization(
    output: str, parse: bool, include: bool, prompt: str, stops: tuple[str, ...]
) -> None:
    def both(ids: list[int]) -> tuple[str, str]:
        choice = reading(*stops, prompt=prompt, parse=parse, include=include)
        deltas = read(choice, [*ids, END])
        return reasoning(deltas), text(deltas)

    assert both(byte_ids(output)) == both(VOCABULARY.tokenize(output, False))


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=8).map("".join), st.booleans(), st.sampled_from(["", "<think>"]))
def test_no_entry_is_lost_or_repeated_around_reasoning(
    output: str, parse: bool, prompt: str
) -> None:
    ids = VOCABULARY.tokenize(output, False)
    deltas = read(reading(prompt=prompt, parse=parse), [*ids, END])
    assert entries(deltas) == token_texts(ids)


def test_an_entry_is_output_when_the_first_byte_of_its_token_is_certain() -> None:
    choice = reading("STOP", prompt="")
    deltas = read(choice, VOCABULARY.tokenize("<think>a</think>\n\nbSTx", False))
    output, reported = "", b""
    for delta in deltas:
        output += delta.text + delta.reasoning
        reported += b"".join(entries([delta]))
    assert (output, reported) == ("abSTx", b"<think>a</think>\n\nbSTx")
    choice = reading("STOP", prompt="")
    held = choice.read(tokens("ST"))
    assert entries(held) == []
    assert entries(choice.read(byte_ids("x"))) == [b"ST", b"x"]


def test_only_the_text_of_spans_is_decoded() -> None:
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
    end = TokenFindings(1, (OutputSpan(False, b"\xa9"),), "length")
    assert reader.read(TokenStep(0, VOCABULARY.token_of(b"\xa9"), end)) == Delta(
        "é", "", (), "length"
    )
