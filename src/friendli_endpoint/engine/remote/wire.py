"""Wire form between the endpoint and an engine elsewhere: messages, frames and their versions.

Usage, without the I/O; the engine's side is the same with the two codecs exchanged:

    connection.send(hello())
    connection.send(encode(TO_ENGINE, [Submit(1, request)]))
    reader = FrameReader(FROM_ENGINE)
    while data := connection.receive():
        for frame in reader.feed(data):  # WireError: another version, or not this form
            for message in frame:
                match message:
                    case EventBatch(number, events): ...
    reader.end()  # WireError: the last frame is cut off

A frame is 4 bytes of length (big-endian), then that many bytes of msgpack: an array of messages.
The first frame in each direction is the greeting, which states the version. An engine sends the
events of all requests of one step in one frame. Requests and calls have numbers that the endpoint
chooses, unique on the connection.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from friendli_endpoint.engine.remote.messages import FROM_ENGINE, TO_ENGINE
from friendli_endpoint.generation import VERSION
from friendli_endpoint.generation.codec import Codec, CodecError

__all__ = ["MAX_FRAME_BYTES", "WIRE_VERSION", "FrameReader", "WireError", "encode", "hello"]

WIRE_VERSION = 1
"""Version of the messages; the version of requests and events is `generation.VERSION`."""

MAX_FRAME_BYTES = 256 << 20
"""Maximum length of a frame by default; requests with media are the largest."""

_LENGTH = struct.Struct("!I")
_GREETING = b"friendli-engine"
_MAX_HELLO_BYTES = 64

T = TypeVar("T")


class WireError(Exception):
    """Error of a connection that cannot be used any longer; the message says why in a sentence."""


_FINGERPRINT = TO_ENGINE.fingerprint + FROM_ENGINE.fingerprint


@dataclass(frozen=True, slots=True)
class _Hello:
    """Greeting; its form never changes."""

    greeting: bytes
    wire_version: int
    contract_version: int
    fingerprint: bytes


_HELLO: Codec[_Hello] = Codec(_Hello)


def hello() -> bytes:
    """Returns the frame that each side sends first."""
    return _framed(_HELLO.encode(_Hello(_GREETING, WIRE_VERSION, VERSION, _FINGERPRINT)))


def encode(
    codec: Codec[tuple[T, ...]], messages: Sequence[T], max_bytes: int = MAX_FRAME_BYTES
) -> bytes:
    """Returns a frame of messages.

    Args:
        codec: `TO_ENGINE` or `FROM_ENGINE`.
        messages: The messages.
        max_bytes: Maximum length of the frame, as the other side accepts it.

    Raises:
        WireError: The messages cannot be encoded, or are too long.
    """
    try:
        payload = codec.encode(tuple(messages))
    except CodecError as error:
        raise WireError(f"a message cannot be sent: {error}") from error
    _check_length(len(payload), max_bytes)
    return _framed(payload)


class FrameReader(Generic[T]):
    """Reader of the frames of one connection; does no I/O.

    It never holds more than one unfinished frame, and checks its length before its content.

    Args:
        codec: `FROM_ENGINE` in the endpoint, `TO_ENGINE` in the engine.
        max_bytes: Maximum length of a frame.

    Attributes:
        has_greeting: Whether the other side's greeting was read, so that its version is right.
    """

    def __init__(self, codec: Codec[tuple[T, ...]], max_bytes: int = MAX_FRAME_BYTES) -> None:
        self._codec = codec
        self._max_bytes = max_bytes
        self._data = bytearray()
        self.has_greeting = False

    def feed(self, data: bytes) -> list[tuple[T, ...]]:
        """Returns the messages of each frame that these bytes complete.

        Raises:
            WireError: The other side has another version, or the bytes are not frames. The
                connection cannot be used any longer.
        """
        self._data += data
        frames = []
        while (payload := self._next_payload()) is not None:
            if self.has_greeting:
                frames.append(self._messages(payload))
            else:
                _check_hello(payload)
                self.has_greeting = True
        return frames

    def end(self) -> None:
        """Checks that the connection has ended between two frames.

        Raises:
            WireError: It has ended within a frame, or before the greeting.
        """
        if self._data:
            raise WireError("the connection ended within a frame")
        if not self.has_greeting:
            raise WireError("the connection ended before the greeting")

    def _next_payload(self) -> bytes | None:
        if len(self._data) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._data)
        if not self.has_greeting and length > _MAX_HELLO_BYTES:
            raise _not_an_engine()
        _check_length(length, self._max_bytes)
        end = _LENGTH.size + length
        if len(self._data) < end:
            return None
        payload = bytes(memoryview(self._data)[_LENGTH.size : end])
        del self._data[:end]
        return payload

    def _messages(self, payload: bytes) -> tuple[T, ...]:
        try:
            return self._codec.decode(payload)
        except CodecError as error:
            raise WireError(f"a frame cannot be read: {error}") from error


def _framed(payload: bytes) -> bytes:
    return _LENGTH.pack(len(payload)) + payload


def _check_length(length: int, max_bytes: int) -> None:
    if length > max_bytes:
        raise WireError(f"a frame has {length:,} bytes; at most {max_bytes:,} are allowed")


def _check_hello(payload: bytes) -> None:
    """Checks the other side's greeting.

    Raises:
        WireError: It is not a greeting, or the other side has another version.
    """
    try:
        received = _HELLO.decode(payload)
    except CodecError:
        raise _not_an_engine() from None
    if received.greeting != _GREETING:
        raise _not_an_engine()
    theirs = (received.wire_version, received.contract_version)
    if theirs != (WIRE_VERSION, VERSION):
        raise WireError(
            f"the other side has version {theirs[0]}.{theirs[1]} of the messages between endpoint "
            f"and engine, this side has {WIRE_VERSION}.{VERSION}; install the same release of the "
            "endpoint on both"
        )
    if received.fingerprint != _FINGERPRINT:
        raise WireError(
            "the other side has other messages under the same version; install the same release "
            "of the endpoint on both"
        )


def _not_an_engine() -> WireError:
    return WireError("the other side does not send the messages of an endpoint or its engine")
