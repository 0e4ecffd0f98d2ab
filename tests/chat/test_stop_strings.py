"""Stop strings: the first to complete and the longest of those wins, for any chunking."""

import itertools
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.stop_strings import DelayedStopMatcher, StopMatch, StopMatcher, StopSet

STOPS = st.lists(st.text(alphabet="abé", min_size=1, max_size=4), min_size=1, max_size=5)
TEXTS = st.text(alphabet="abéc", max_size=16).map(str.encode)
CUTS = st.lists(st.integers(0, 24), max_size=6)


def split_at(text: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


def first_match(stops: list[str], chunks: list[bytes]) -> tuple[int, int] | None:
    """Returns start and end of the match in the whole text."""
    matcher = StopMatcher(StopSet(stops))
    before = 0
    for chunk in chunks:
        match = matcher.feed(chunk)
        if match is not None:
            end = before + match.end
            return end - match.length, end
        before += len(chunk)
    return None


def expected_match(stops: list[str], text: bytes) -> tuple[int, int] | None:
    for end in range(1, len(text) + 1):
        lengths = [len(s.encode()) for s in stops if text[:end].endswith(s.encode())]
        if lengths:
            return end - max(lengths), end
    return None


@settings(max_examples=200, deadline=None)
@given(STOPS, TEXTS, CUTS)
def test_the_first_complete_and_longest_is_found_for_any_chunking(
    stops: list[str], text: bytes, cuts: list[int]
) -> None:
    expected = expected_match(stops, text)
    assert first_match(stops, [text]) == expected
    assert first_match(stops, split_at(text, cuts)) == expected
    assert first_match(stops, [bytes([byte]) for byte in text]) == expected


@settings(max_examples=200, deadline=None)
@given(STOPS, TEXTS)
def test_held_is_the_length_of_the_longest_suffix_that_is_a_proper_prefix_of_a_stop(
    stops: list[str], text: bytes
) -> None:
    matcher = StopMatcher(StopSet(stops))
    encoded = [stop.encode() for stop in stops]
    for end, byte in enumerate(text, 1):
        matcher.feed(bytes([byte]), enabled=False)
        read = text[:end]
        assert matcher.held == max(
            length
            for length in range(end + 1)
            if any(len(stop) > length and stop.startswith(read[end - length :]) for stop in encoded)
        )


@settings(max_examples=150, deadline=None)
@given(STOPS, TEXTS, TEXTS)
def test_a_stop_completed_while_disabled_is_ignored_but_one_begun_while_disabled_counts(
    stops: list[str], early: bytes, late: bytes
) -> None:
    matcher = StopMatcher(StopSet(stops))
    assert matcher.feed(early, enabled=False) is None
    text = early + late
    expected = next(
        (
            StopMatch(end - len(early), max(lengths))
            for end in range(len(early) + 1, len(text) + 1)
            if (lengths := [len(s.encode()) for s in stops if text[:end].endswith(s.encode())])
        ),
        None,
    )
    assert matcher.feed(late) == expected


@pytest.mark.parametrize(
    ("stops", "text", "match"),
    [
        (["ab", "abcd"], b"abcd", StopMatch(2, 2)),
        (["bcd", "abcd"], b"abcd", StopMatch(4, 4)),
        (["bc", "abcd"], b"abcd", StopMatch(3, 2)),
        (["aab"], b"aaab", StopMatch(4, 3)),
        (["é"], "né".encode(), StopMatch(3, 2)),
        (["x"], b"", None),
        (["same", "same"], b"same", StopMatch(4, 4)),
    ],
)
def test_the_stop_that_completes_first_wins_and_then_the_longest(
    stops: list[str], text: bytes, match: StopMatch | None
) -> None:
    assert StopMatcher(StopSet(stops)).feed(text) == match


def test_matchers_that_share_a_set_are_independent() -> None:
    stops = StopSet(["end"])
    first, second = StopMatcher(stops), StopMatcher(stops)
    assert first.feed(b"en") is None
    assert (first.held, second.held) == (2, 0)
    assert second.feed(b"d") is None
    assert first.feed(b"d") == StopMatch(1, 3)


@settings(max_examples=200, deadline=None)
@given(STOPS, TEXTS, CUTS, st.integers(0, 6), st.data())
def test_the_token_that_completes_a_stop_decides_however_late_its_text_is_read(
    stops: list[str], text: bytes, cuts: list[int], min_tokens: int, data: st.DataObject
) -> None:
    tokens = split_at(text, cuts)
    ignored = len(b"".join(tokens[:min_tokens]))
    expected = None
    for end in range(ignored + 1, len(text) + 1):
        if lengths := [len(s.encode()) for s in stops if text[:end].endswith(s.encode())]:
            expected = end - max(lengths), end
            break
    matcher, held, before = DelayedStopMatcher(StopSet(stops), min_tokens), b"", 0
    for index, token in enumerate(tokens):
        matcher.next_token(len(token))
        held += token
        if index < len(tokens) - 1 and data.draw(st.booleans()):
            continue
        match = matcher.feed(held)
        if match is not None:
            assert (before + match.end - match.length, before + match.end) == expected
            return
        before, held = before + len(held), b""
    assert expected is None


@pytest.mark.load
def test_the_largest_legal_set_takes_a_few_mebibytes() -> None:
    stops = [
        "".join(chr(0x1F600 + (number * place) % 61) for place in range(1, 1025))
        for number in range(1, 65)
    ]
    tracemalloc.start()
    try:
        matcher = StopMatcher(StopSet(stops))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 4 << 20
    match = matcher.feed(stops[0].encode()[1:] + stops[6].encode())
    assert match == StopMatch(2 * 4096 - 1, 4096)
