"""Content codings of request bodies: gzip, deflate and zstd, decoded within limits."""

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from friendli_endpoint.generation import RequestError

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

__all__ = ["ACCEPTED", "UNSUPPORTED", "Decode", "Reserve", "body_too_large_error", "decoder_of"]

ACCEPTED = "gzip, deflate, zstd, identity"
"""The codings that a body may have, as an `Accept-Encoding` header."""

UNSUPPORTED = "unsupported_content_encoding"
"""Code of the error of a body with another coding."""

CHUNK_BYTES = 16384
"""Number of bytes that are given to a decoder at once.

The rest of a chunk is copied at the end of a stream in it: with larger ones, a body of many tiny
streams takes quadratic time.
"""

PART_BYTES = 65536
"""Maximum number of decoded bytes that are not counted yet."""

MAX_STREAMS = 4096
"""Maximum number of gzip members or zstd frames of a body; each costs a new decoder."""

MAX_WINDOW_LOG = 23
"""Base-2 logarithm of the largest window of zstd, 8 MiB: what RFC 9659 allows on the web.

A worker thread that decodes has one window, which is not counted as memory of bodies.
"""

Reserve = Callable[[int], None]
"""Called with a number of decoded bytes before they are kept; raises if there is no memory."""

Decode = Callable[[bytes, Reserve], bytes]
"""Decodes a body; blocks, so call it in a worker thread. Raises as `Coding.decode` does."""


class _Stream(Protocol):
    """A decoder of one gzip member, zlib stream or zstd frame.

    Attributes:
        eof: Whether the end of the stream was reached.
        unused_data: Bytes behind the end.
    """

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Decodes further bytes.

        Args:
            data: The bytes; empty to continue after `max_length` bytes were returned.
            max_length: Maximum number of bytes to return, at least 1. If fewer are returned, all
                bytes given so far are decoded.

        Raises:
            zlib.error: The bytes are invalid.
            ZstdError: The bytes are invalid.
        """
        ...


class _ZlibStream:
    """A `_Stream` of zlib, which itself wants the bytes again that it has not decoded."""

    def __init__(self, window_bits: int) -> None:
        self._decoder = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)


def _gzip(_body: bytes) -> _Stream:
    return _ZlibStream(zlib.MAX_WBITS | 16)


def _deflate(body: bytes) -> _Stream:
    """Returns a decoder of zlib's format, or of raw deflate data, which some clients send.

    A zlib header is a multiple of 31 and names method 8. Raw data would begin with a stored block
    whose padding is not zero.
    """
    is_zlib = body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return _ZlibStream(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)


def _zstd(_body: bytes) -> _Stream:
    return ZstdDecompressor(options={DecompressionParameter.window_log_max: MAX_WINDOW_LOG})


class Coding(NamedTuple):
    """A content coding.

    Attributes:
        name: Name for errors.
        begin: Begins to decode a stream of a body.
        max_streams: Maximum number of streams of a body.
    """

    name: str
    begin: Callable[[bytes], _Stream]
    max_streams: int

    def decode(self, max_bytes: int, body: bytes, reserve: Reserve) -> bytes:
        """Decodes a body.

        Args:
            max_bytes: Maximum size of the result in bytes.
            body: The body.
            reserve: Reserves the memory of the result.

        Raises:
            RequestError: 400 if the body is invalid, cut off or followed by other bytes, 413 if the
                result would be larger, and whatever `reserve` raises.
        """
        decoded = list[bytes]()
        num_bytes = 0
        for part in self._parts(body):
            num_bytes += len(part)
            if num_bytes > max_bytes:
                raise body_too_large_error(max_bytes)
            reserve(len(part))
            decoded.append(part)
        return b"".join(decoded)

    def _parts(self, body: bytes) -> Iterator[bytes]:
        """Yields the decoded bytes in parts of at most `PART_BYTES` bytes."""
        stream: _Stream | None = None
        num_streams = 0
        for start in range(0, len(body), CHUNK_BYTES):
            data, is_decoded = body[start : start + CHUNK_BYTES], False
            while not is_decoded:
                if stream is None:
                    num_streams += 1
                    self._check_num_streams(num_streams)
                    stream = self.begin(body)
                part = self._decompress(stream, data)
                yield part
                if stream.eof:
                    data, stream = stream.unused_data, None
                    is_decoded = not data
                else:
                    data, is_decoded = b"", len(part) < PART_BYTES
        if stream is not None:
            raise self._error("it is cut off")

    def _check_num_streams(self, num_streams: int) -> None:
        if num_streams > self.max_streams:
            many = f"it has more than {self.max_streams:,} parts"
            raise self._error("there are bytes behind its end" if self.max_streams == 1 else many)

    def _decompress(self, stream: _Stream, data: bytes) -> bytes:
        try:
            return stream.decompress(data, PART_BYTES)
        except (zlib.error, ZstdError) as error:
            raise self._error(str(error)) from None

    def _error(self, reason: str) -> RequestError:
        return RequestError(
            f"content-encoding: the body is not valid {self.name}: {reason}",
            param="content-encoding",
            code="invalid_content",
        )


_GZIP = Coding("gzip", _gzip, MAX_STREAMS)
_CODINGS = {
    "gzip": _GZIP,
    "x-gzip": _GZIP,
    "deflate": Coding("deflate", _deflate, 1),
    "zstd": Coding("zstd", _zstd, MAX_STREAMS),
}
"""The codings by their names in lower case; RFC 9110, section 8.4.1.3, has `x-gzip`."""


def decoder_of(headers: Sequence[str], max_bytes: int) -> Decode | None:
    """Returns the decoder of a body; None if the body has no coding.

    Args:
        headers: Values of all `Content-Encoding` headers.
        max_bytes: Maximum size of the decoded body in bytes.

    Raises:
        RequestError: 415 if there is more than one coding, or one that is not supported.
    """
    names = [name.strip() for name in ",".join(headers).split(",") if name.strip()]
    lowered = [name.lower() for name in names]
    if lowered in ([], ["identity"]):
        return None
    if len(lowered) > 1 or lowered[0] not in _CODINGS:
        raise RequestError(
            f"content-encoding: must be one of {ACCEPTED}, got {', '.join(names)}",
            param="content-encoding",
            status=415,
            code=UNSUPPORTED,
        )
    return partial(_CODINGS[lowered[0]].decode, max_bytes)


def body_too_large_error(max_bytes: int) -> RequestError:
    """Returns the error of a body of more than `max_bytes` bytes, before or after its decoding."""
    return RequestError(
        f"the body must be at most {max_bytes:,} bytes", status=413, code="body_too_large"
    )
