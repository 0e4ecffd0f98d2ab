from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli._streaming.sse import Event, SSEDecoder


def decode(*chunks: bytes) -> list[tuple[str, str]]:
    decoder = SSEDecoder()
    return [(e.name, e.data.decode()) for chunk in chunks for e in decoder.feed(chunk)]


def reference(stream: bytes) -> list[tuple[str, str]]:
    """The algorithm of the standard, applied to the whole stream."""
    text = stream.decode("utf-8", errors="replace").removeprefix("\ufeff")
    *lines, _ = re.split("\r\n|\n|\r", text)
    events, data, name = [], "", ""
    for line in lines:
        if line == "":
            if data:
                events.append((name, data.removesuffix("\n")))
            data, name = "", ""
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "data":
                data += value + "\n"
            elif field == "event":
                name = value
    return events


CORPUS = {
    "one": (b"data: a\n\n", ["a"]),
    "crlf": (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
    "cr": (b"data: a\r\rdata: b\r\r", ["a", "b"]),
    "crlf, several lines": (b"event: x\r\ndata: a\r\ndata: b\r\n\r\n", ["a\nb"]),
    "mixed ends": (b"data: a\n\r\ndata: b\r\n\rdata: c\r\n\n", ["a", "b", "c"]),
    "bom": (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
    "second bom is text": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", ["b"]),
    "comments": (b": hi\n:\ndata: a\n: in between\n\n:\n\n", ["a"]),
    "retry, id, event alone": (b"retry: 3\n\nid: 4\n\nevent: x\n\ndata: a\n\n", ["a"]),
    "empty data": (b"data:\n\ndata\n\ndata: \n\n", ["", "", ""]),
    "several lines": (b"data: a\ndata:\ndata: b\n\n", ["a\n\nb"]),
    "one space only": (b"data:  a\n\n", [" a"]),
    "no space": (b"data:a\n\n", ["a"]),
    "colons": (b"data: a: b\n\n", ["a: b"]),
    "unknown field": (b"dat: x\ndatax: y\nDATA: z\ndata: a\n\n", ["a"]),
    "unterminated": (b"data: a\n\ndata: b\n", ["a"]),
    "unterminated line": (b"data: a\n\ndata: b", ["a"]),
    "invalid utf-8": (b"data: a\xffb\n\n", ["a\ufffdb"]),
    "cut code point before the end": (b"data: \xe2\x82\n\n", ["\ufffd"]),
    "other line ends are text": ("data: a\u2028b\x85c\x0bd\n\n".encode(), ["a\u2028b\x85c\x0bd"]),
    "nothing": (b"", []),
    "only a bom": (b"\xef\xbb\xbf", []),
    "half a bom": (b"\xef\xbb", []),
    "nul": (b"data: a\0b\n\n", ["a\0b"]),
}


@pytest.mark.parametrize("stream, expected", CORPUS.values(), ids=CORPUS.keys())
def test_corpus_is_decoded_whole_and_byte_by_byte(stream: bytes, expected: list[str]) -> None:
    assert [data for _, data in decode(stream)] == expected
    assert [data for _, data in decode(*(bytes([b]) for b in stream))] == expected
    assert decode(stream) == reference(stream)


def test_event_names_are_decoded() -> None:
    assert decode(b"event: error\ndata: a\n\ndata: b\n\nevent\ndata: c\n\n") == [
        ("error", "a"),
        ("", "b"),
        ("", "c"),
    ]


line = st.one_of(
    st.sampled_from([b"", b"data", b"data:", b"event: x", b"event", b": c", b"id: 1", b"retry: 2"]),
    st.binary(max_size=8).map(lambda b: b"data: " + b),
    st.text(max_size=6).map(lambda t: b"data:" + t.encode()),
    st.binary(max_size=8),
)
ends = st.sampled_from([b"\n", b"\r", b"\r\n"])
streams = st.builds(
    lambda bom, lines: bom + b"".join(text + end for text, end in lines),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xef\xbb"]),
    st.lists(st.tuples(line, ends), max_size=12),
) | st.binary(max_size=60)


@given(streams, st.lists(st.integers(0, 200), max_size=8))
def test_any_split_decodes_as_the_standard_specifies(stream: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    chunks = [stream[a:b] for a, b in pairwise(places)]
    assert decode(*chunks) == reference(stream)
    assert decode(stream) == reference(stream)
    assert decode(*(bytes([byte]) for byte in stream)) == reference(stream)


PREFIXES = {
    "nothing": b"",
    "an event": b"data: a\n\n",
    "half a byte order mark": b"\xef\xbb",
    "a cr that an lf may follow": b"data: a\n\r",
    "half a line": b"dat",
    "data": b"data: a\n",
    "a name": b"event: x\n",
    "a comment": b": a\n",
}


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES.keys())
@pytest.mark.parametrize(
    "chunk", [b"data: b\n\n", b"data: \n\n", b"data: \xff\n\n", b"data: b\rdata: c\n\n"]
)
def test_single_event_chunk_decodes_the_same_after_any_prefix(prefix: bytes, chunk: bytes) -> None:
    assert decode(b"data: -\n\n", prefix, chunk, chunk) == reference(
        b"data: -\n\n" + prefix + chunk + chunk
    )
    assert decode(prefix, chunk, chunk) == reference(prefix + chunk + chunk)


class TestMaxEvent:
    def test_maximum_applies_to_a_single_event_chunk(self) -> None:
        decoder = SSEDecoder(max_event=20)
        assert decoder.feed(b"data: a\n\n") == [Event(b"a", "")]
        assert decoder.feed(b"data: " + b"x" * 19 + b"\n\n") == [Event(b"x" * 19, "")]
        assert decoder.feed(b"data: " + b"x" * 20 + b"\n\n") == []
        assert decoder.too_large

    def test_event_within_the_maximum_is_decoded(self) -> None:
        decoder = SSEDecoder(max_event=20)
        assert decoder.feed(b"data: " + b"x" * 13 + b"\n\n") == [Event(b"x" * 13, "")]
        assert not decoder.too_large

    @pytest.mark.parametrize(
        "chunks",
        [
            [b"data: " + b"x" * 30 + b"\n\n"],
            [b"data: " + b"x" * 30],
            [b"data: ", *[b"x"] * 30],
            [b"data: xx\n"] * 20,
            [b"data\n"] * 40 + [b"data: x\n"],
            [b"data\n"] * 40,
            [b"data:\n"] * 40,
            [b": " + b"x" * 30],
        ],
        ids=[
            "whole",
            "open",
            "dripping",
            "many lines",
            "empty lines",
            "lines without a colon",
            "lines without a value",
            "comment",
        ],
    )
    def test_larger_event_stops_the_decoder(self, chunks: list[bytes]) -> None:
        decoder = SSEDecoder(max_event=20)
        assert decoder.feed(b"data: before\n\n") == [Event(b"before", "")]
        assert [e for chunk in chunks for e in decoder.feed(chunk)] == []
        assert decoder.too_large
        assert decoder.feed(b"\n\ndata: after\n\n") == []


def test_cost_is_linear_for_an_event_in_many_chunks() -> None:
    def cost(size: int) -> float:
        decoder = SSEDecoder()
        chunk = b"x" * 64
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            decoder.feed(b"data: ")
            for _ in range(size // 64):
                decoder.feed(chunk)
            assert len(decoder.feed(b"\n\n")[0].data) == size
            best = min(best, time.process_time() - start)
        return best

    # 16 times the bytes: about 16 times the work if linear, 256 times if quadratic.
    assert cost(4 << 20) < 80 * max(cost(256 << 10), 1e-4)
