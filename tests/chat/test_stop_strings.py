"""Stop strings: the first to be complete, the longest of those, however the text arrives."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.chat.stop_strings import DelayedStopMatcher, Match, StopMatcher, StopSet

STOPS = st.lists(st.text(alphabet="abé", min_size=1, max_size=4), min_size=1, max_size=5)
TEXTS = st.text(alphabet="abéc", max_size=16).map(str.encode)
CUTS = st.lists(st.integers(0, 24), max_size=6)


def chopped(text: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


def found(stops: list[str], pieces: list[bytes]) -> tuple[int, int] | None:
    """Begin and end of the match in the whole text."""
    matcher = StopMatcher(StopSet(stops))
    before = 0
    for piece in pieces:
        match = matcher.feed(piece)
        if match is not None:
            end = before + match.end
            return end - match.length, end
        before += len(piece)
    return None


def naive(stops: list[str], text: bytes) -> tuple[int, int] | None:
    for end in range(1, len(text) + 1):
        lengths = [len(s.encode()) for s in stops if text[:end].endswith(s.encode())]
        if lengths:
            return end - max(lengths), end
    return None


@settings(max_examples=200, deadline=None)
@given(STOPS, TEXTS, CUTS)
def test_the_first_complete_and_longest_is_found_however_the_text_is_cut(
    stops: list[str], text: bytes, cuts: list[int]
) -> None:
    expected = naive(stops, text)
    assert found(stops, [text]) == expected
    assert found(stops, chopped(text, cuts)) == expected
    assert found(stops, [bytes([byte]) for byte in text]) == expected


@settings(max_examples=200, deadline=None)
@given(STOPS, TEXTS)
def test_held_is_the_longest_suffix_that_is_a_proper_prefix_of_a_stop(
    stops: list[str], text: bytes
) -> None:
    matcher = StopMatcher(StopSet(stops))
    encoded = [stop.encode() for stop in stops]
    for end, byte in enumerate(text, 1):
        matcher.feed(bytes([byte]), armed=False)
        read = text[:end]
        assert matcher.held == max(
            length
            for length in range(end + 1)
            if any(len(stop) > length and stop.startswith(read[end - length :]) for stop in encoded)
        )


@settings(max_examples=150, deadline=None)
@given(STOPS, TEXTS, TEXTS)
def test_a_match_that_completes_unarmed_does_not_count_but_one_under_way_does(
    stops: list[str], early: bytes, late: bytes
) -> None:
    matcher = StopMatcher(StopSet(stops))
    assert matcher.feed(early, armed=False) is None
    text = early + late
    expected = next(
        (
            Match(end - len(early), max(lengths))
            for end in range(len(early) + 1, len(text) + 1)
            if (lengths := [len(s.encode()) for s in stops if text[:end].endswith(s.encode())])
        ),
        None,
    )
    assert matcher.feed(late) == expected


@pytest.mark.parametrize(
    ("stops", "text", "match"),
    [
        (["ab", "abcd"], b"abcd", Match(2, 2)),
        (["bcd", "abcd"], b"abcd", Match(4, 4)),
        (["bc", "abcd"], b"abcd", Match(3, 2)),
        (["aab"], b"aaab", Match(4, 3)),
        (["é"], "né".encode(), Match(3, 2)),
        (["x"], b"", None),
        (["same", "same"], b"same", Match(4, 4)),
    ],
)
def test_which_stop_wins(stops: list[str], text: bytes, match: Match | None) -> None:
    assert StopMatcher(StopSet(stops)).feed(text) == match


def test_a_set_is_shared_by_matchers_without_one_disturbing_another() -> None:
    stops = StopSet(["end"])
    one, other = StopMatcher(stops), StopMatcher(stops)
    assert one.feed(b"en") is None
    assert (one.held, other.held) == (2, 0)
    assert other.feed(b"d") is None
    assert one.feed(b"d") == Match(1, 3)


@settings(max_examples=200, deadline=None)
@given(STOPS, TEXTS, CUTS, st.integers(0, 6), st.data())
def test_a_stop_counts_by_the_token_that_completes_it_however_late_the_text_is_read(
    stops: list[str], text: bytes, cuts: list[int], min_tokens: int, data: st.DataObject
) -> None:
    tokens = chopped(text, cuts)
    unarmed = len(b"".join(tokens[:min_tokens]))
    expected = None
    for end in range(unarmed + 1, len(text) + 1):
        if lengths := [len(s.encode()) for s in stops if text[:end].endswith(s.encode())]:
            expected = end - max(lengths), end
            break
    reading, held, before = DelayedStopMatcher(StopSet(stops), min_tokens), b"", 0
    for index, token in enumerate(tokens):
        reading.next_token(len(token))
        held += token
        if index < len(tokens) - 1 and data.draw(st.booleans()):
            continue
        match = reading.feed(held)
        if match is not None:
            assert (before + match.end - match.length, before + match.end) == expected
            return
        before, held = before + len(held), b""
    assert expected is None
