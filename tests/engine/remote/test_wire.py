"""The wire form: every message survives, and nothing else is taken for one."""

import dataclasses
import itertools
import struct
from collections.abc import Sequence
from typing import Any, TypeVar

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.engine.remote import wire
from friendli_endpoint.engine.remote.messages import (
    FROM_ENGINE,
    TO_ENGINE,
    Accepted,
    AdapterResult,
    Cancel,
    Close,
    EventBatch,
    Failed,
    FromEngine,
    Leave,
    Leaving,
    Listening,
    LoadAdapter,
    LogLine,
    Opened,
    OpeningFailed,
    Pulse,
    Rejected,
    StepDone,
    Submit,
    ToEngine,
    UnloadAdapter,
)
from friendli_endpoint.engine.remote.wire import FrameReader, WireError, encode, hello
from friendli_endpoint.generation import (
    VERSION,
    EngineError,
    Generated,
    OutputSpan,
    RequestError,
    TokenFindings,
    TokenLogprob,
    TokenStep,
)
from friendli_endpoint.generation.codec import Codec
from tests.chat.random_requests import MODELS, SOURCES
from tests.generation.strategies import (
    COUNTS,
    SECONDS,
    TEXTS,
    cards,
    engine_errors,
    events,
    reports,
    request_errors,
    requests,
)
from tests.support.chat import body_of

T = TypeVar("T")

TO_MESSAGES: st.SearchStrategy[ToEngine] = st.one_of(
    st.builds(Submit, COUNTS, requests()),
    st.builds(Cancel, COUNTS),
    st.builds(LoadAdapter, COUNTS, TEXTS, TEXTS),
    st.builds(UnloadAdapter, COUNTS, TEXTS),
    st.just(Close()),
    st.just(Leave()),
)
FROM_MESSAGES: st.SearchStrategy[FromEngine] = st.one_of(
    st.builds(EventBatch, COUNTS, st.lists(events(), max_size=3).map(tuple)),
    st.builds(StepDone, reports()),
    st.builds(Accepted, COUNTS),
    st.builds(Rejected, COUNTS, request_errors()),
    st.builds(Failed, COUNTS, engine_errors()),
    st.builds(Opened, cards()),
    st.builds(OpeningFailed, TEXTS),
    st.builds(
        AdapterResult,
        COUNTS,
        st.lists(TEXTS, max_size=3).map(tuple),
        st.none() | request_errors(),
    ),
    st.just(Leaving()),
    st.builds(Listening, COUNTS, st.binary(max_size=40)),
    st.builds(Pulse, st.booleans(), SECONDS),
    st.builds(LogLine, TEXTS, COUNTS, TEXTS),
)

ACCEPTED = encode(FROM_ENGINE, [Accepted(7)])


def plain(message: ToEngine | FromEngine) -> tuple[type, list[Any]]:
    """Returns a message in a form that compares errors by their attributes."""
    values = [getattr(message, field.name) for field in dataclasses.fields(message)]
    return type(message), [
        (type(value), vars(value)) if isinstance(value, Exception) else value for value in values
    ]


def greeted(codec: Codec[tuple[T, ...]], **options: int) -> FrameReader[T]:
    reader = FrameReader(codec, **options)
    assert reader.feed(hello()) == [] and reader.has_greeting
    return reader


def greeting_of(*fields: Any) -> bytes:
    payload = msgpack.packb(fields)
    return struct.pack("!I", len(payload)) + bytes(payload)


def fed_in_pieces(reader: FrameReader[T], data: bytes, cuts: Sequence[int]) -> list[tuple[T, ...]]:
    bounds = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    frames = []
    for begin, end in itertools.pairwise(bounds):
        frames += reader.feed(data[begin:end])
    return frames


CUTS = st.lists(st.integers(0, 2000), max_size=8)


@given(st.lists(st.lists(TO_MESSAGES, max_size=3), max_size=3), CUTS)
def test_messages_to_an_engine_survive(frames: list[list[ToEngine]], cuts: list[int]) -> None:
    reader: FrameReader[ToEngine] = FrameReader(TO_ENGINE)
    data = hello() + b"".join(encode(TO_ENGINE, frame) for frame in frames)
    assert fed_in_pieces(reader, data, cuts) == [tuple(frame) for frame in frames]
    reader.end()


@given(st.lists(st.lists(FROM_MESSAGES, max_size=3), max_size=3), CUTS)
def test_messages_from_an_engine_survive(frames: list[list[FromEngine]], cuts: list[int]) -> None:
    reader: FrameReader[FromEngine] = FrameReader(FROM_ENGINE)
    data = hello() + b"".join(encode(FROM_ENGINE, frame) for frame in frames)
    received = fed_in_pieces(reader, data, cuts)
    assert [list(map(plain, frame)) for frame in received] == [
        list(map(plain, frame)) for frame in frames
    ]
    reader.end()


@given(st.lists(FROM_MESSAGES, min_size=1, max_size=2), st.data())
def test_a_connection_that_ends_within_a_frame_is_an_error(
    messages: list[FromEngine], data: st.DataObject
) -> None:
    frame = encode(FROM_ENGINE, messages)
    reader = greeted(FROM_ENGINE)
    assert reader.feed(frame[: data.draw(st.integers(1, len(frame) - 1))]) == []
    with pytest.raises(WireError, match="the connection ended within a frame"):
        reader.end()


def test_a_connection_that_ends_before_the_greeting_is_an_error() -> None:
    with pytest.raises(WireError, match="the connection ended before the greeting"):
        FrameReader(FROM_ENGINE).end()


@given(st.binary(max_size=100).filter(lambda payload: payload != b"\x90"))
def test_a_frame_of_garbage_is_an_error(payload: bytes) -> None:
    with pytest.raises(WireError, match="a frame cannot be read"):
        greeted(FROM_ENGINE).feed(struct.pack("!I", len(payload)) + payload)


@given(st.lists(FROM_MESSAGES, min_size=1, max_size=2), st.data())
def test_a_damaged_frame_is_an_error_or_messages(
    messages: list[FromEngine], data: st.DataObject
) -> None:
    frame = bytearray(encode(FROM_ENGINE, messages))
    frame[data.draw(st.integers(4, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        (received,) = greeted(FROM_ENGINE).feed(bytes(frame))
    except WireError:
        return
    assert all(isinstance(message, FromEngine) for message in received)


def test_messages_in_the_wrong_direction_are_an_error() -> None:
    with pytest.raises(WireError, match="a frame cannot be read"):
        greeted(FROM_ENGINE).feed(encode(TO_ENGINE, [LoadAdapter(1, "a", "b")]))


def test_a_frame_above_the_maximum_is_refused_by_its_header() -> None:
    reader = greeted(FROM_ENGINE, max_bytes=1000)
    assert reader.feed(struct.pack("!I", 1000)) == []
    for length in (1001, 2**32 - 1):
        with pytest.raises(WireError, match=rf"has {length:,} bytes; at most 1,000 are allowed"):
            greeted(FROM_ENGINE, max_bytes=1000).feed(struct.pack("!I", length))


def test_messages_above_the_maximum_are_not_sent() -> None:
    assert encode(FROM_ENGINE, [OpeningFailed("x" * 90)], max_bytes=100)
    with pytest.raises(WireError, match="at most 100 are allowed"):
        encode(FROM_ENGINE, [OpeningFailed("x" * 100)], max_bytes=100)


def test_a_message_that_cannot_be_encoded_is_an_error() -> None:
    with pytest.raises(WireError, match="cannot be sent: an integer has more than 64 bits"):
        encode(FROM_ENGINE, [Accepted(2**64)])


FINGERPRINT = TO_ENGINE.fingerprint + FROM_ENGINE.fingerprint


@pytest.mark.parametrize(
    ("version", "contract"),
    [(wire.WIRE_VERSION + 1, VERSION), (wire.WIRE_VERSION, VERSION - 1), (0, 0)],
)
def test_another_version_is_refused_in_a_sentence(version: int, contract: int) -> None:
    reader = FrameReader(FROM_ENGINE)
    with pytest.raises(WireError) as caught:
        reader.feed(greeting_of(b"friendli-engine", version, contract, FINGERPRINT) + ACCEPTED)
    assert str(caught.value) == (
        f"the other side has version {version}.{contract} of the messages between endpoint and "
        f"engine, this side has {wire.WIRE_VERSION}.{VERSION}; install the same release of the "
        "endpoint on both"
    )
    assert not reader.has_greeting


def test_other_messages_under_the_same_version_are_refused() -> None:
    fields = (b"friendli-engine", wire.WIRE_VERSION, VERSION)
    assert greeting_of(*fields, FINGERPRINT) == hello()
    with pytest.raises(WireError, match="other messages under the same version"):
        FrameReader(FROM_ENGINE).feed(greeting_of(*fields, bytes(16)))


@pytest.mark.parametrize(
    "data",
    [
        ACCEPTED,
        b"HTTP/1.1 400 Bad Request\r\n",
        greeting_of(b"friendli-other", wire.WIRE_VERSION, VERSION, FINGERPRINT),
        greeting_of(),
        struct.pack("!I", 65),
        bytes(4),
    ],
)
def test_a_connection_without_a_greeting_is_refused(data: bytes) -> None:
    with pytest.raises(WireError, match="does not send the messages of an endpoint"):
        FrameReader(FROM_ENGINE).feed(data)


def test_errors_arrive_as_the_errors_that_the_contract_has() -> None:
    rejection = RequestError("full", param="p", status=429, code="queue_full", retry_after=3)
    failure = EngineError("closing", retryable=False, is_closing=True)
    messages: list[FromEngine] = [Rejected(1, rejection), Failed(2, failure)]
    ((rejected, failed),) = greeted(FROM_ENGINE).feed(encode(FROM_ENGINE, messages))
    assert isinstance(rejected, Rejected) and vars(rejected.error) == vars(rejection)
    assert isinstance(failed, Failed) and vars(failed.error) == vars(failure)


def test_a_typical_request_has_at_most_1200_bytes() -> None:
    for source in SOURCES:
        body = body_of(
            messages=[{"role": "user", "content": "Which rivers flow into the North Sea? " * 4}],
            n=3,
            stop=["\n\n", "END"],
            temperature=0.7,
            top_p=0.9,
        )
        request = MODELS[source].prepare(body).request
        assert len(encode(TO_ENGINE, [Submit(1, request)])) <= 1200


def text_event(number: int, logprobs: bool) -> EventBatch:
    span = OutputSpan(False, b" word")
    own = TokenLogprob(40_000, -1.25)
    step = TokenStep(0, 40_000, TokenFindings(5, (span,)))
    if logprobs:
        step = dataclasses.replace(step, logprob=own, top_logprobs=(own,) * 5)
    return EventBatch(number, (Generated((step,), 1.5),))


def test_a_step_of_16_streams_has_about_40_bytes_a_token() -> None:
    batches = [text_event(1000 + number, False) for number in range(16)]
    assert len(encode(FROM_ENGINE, batches)) / 16 < 45


def test_eight_tokens_of_one_choice_have_about_25_bytes_a_token() -> None:
    (event,) = text_event(1, False).events
    assert isinstance(event, Generated)
    batch = EventBatch(1, (Generated(event.steps * 8, 1.5),))
    assert len(encode(FROM_ENGINE, [batch])) / 8 < 28
