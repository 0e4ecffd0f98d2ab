"""Random responses to requests for a file or for a range of it, most of which are wrong."""

import gzip
import random
from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

__all__ = ["VERSIONS", "Lie", "WrongResponse", "framed", "lies", "wrong_responses"]

VERSIONS = {
    '"first"': b"GGUF" + random.Random(1).randbytes(2996),
    '"second"': b"GGUF" + random.Random(2).randbytes(1996),
    '"third"': b"GGUF" + random.Random(3).randbytes(2996),
}
"""Versions of a file by their ETags."""

Framing = Literal["length", "close", "chunked"]


@dataclass(frozen=True)
class WrongResponse:
    """A response that may be wrong in any way that its headers tell, or its end.

    Attributes:
        etag: ETag of the version that it sends.
        status: Its status.
        start: First byte that it sends: a number, or what the request asks for.
        end: Number of bytes of the file that it does not send, of those at the end.
        shows_range: Whether it has a `content-range`, which is true except for its total.
        more: Number by which the total in `content-range` is too large.
        weak: Prefix of the ETag; None for no ETag.
        encoding: Content encoding.
        framing: How it tells where it ends.
        cut: Share of its body that is sent before the connection breaks off; None for all of it.
    """

    etag: str
    status: int
    start: int | None
    end: int
    shows_range: bool
    more: int
    weak: str | None
    encoding: str | None
    framing: Framing
    cut: float | None

    def raw(self, asked: int | None) -> bytes:
        """Returns the bytes of the response to a request for all bytes from `asked` on."""
        content = VERSIONS[self.etag]
        start = (asked or 0) if self.start is None else self.start
        end = len(content) - self.end
        headers = {"connection": "close"}
        if self.status == 200:
            body = content
        elif self.status == 416:
            body = b"GGUF: no such range"
            headers["content-range"] = f"bytes */{len(content)}"
        else:
            body = content[start:end]
            if self.shows_range:
                headers["content-range"] = (
                    f"bytes {start}-{start + len(body) - 1}/{len(content) + self.more}"
                )
        if self.weak is not None:
            headers["etag"] = self.weak + self.etag
        if self.encoding is not None:
            headers["content-encoding"] = self.encoding
            body = gzip.compress(body) if self.encoding == "gzip" else body
        return framed(self.status, headers, body, self.framing, self.cut)


def framed(
    status: int, headers: dict[str, str], body: bytes, framing: Framing, cut: float | None
) -> bytes:
    """Returns a response; with `cut`, only this share of its body.

    `framing` says how it tells where its body ends: by its length, its last chunk, or by closing
    the connection.
    """
    if framing == "length":
        headers["content-length"] = str(len(body))
    elif framing == "chunked":
        headers["transfer-encoding"] = "chunked"
        half = len(body) // 2
        chunks = [chunk for chunk in (body[:half], body[half:]) if chunk]
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    sent = body if cut is None else body[: int(len(body) * cut)]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Scripted\r\n{head}\r\n".encode() + sent


wrong_responses: st.SearchStrategy[WrongResponse] = st.builds(
    WrongResponse,
    etag=st.sampled_from(['"first"', *VERSIONS]),
    status=st.sampled_from([200, 200, 206, 206, 206, 203, 204, 302, 404, 416, 500]),
    start=st.sampled_from([None, None, None, 0, 1, 700, 1500]),
    end=st.sampled_from([0, 0, 1, 300]),
    shows_range=st.sampled_from([True, True, True, False]),
    more=st.sampled_from([0, 0, 0, 7]),
    weak=st.sampled_from(["", "", "", "W/", None]),
    encoding=st.sampled_from([None, None, None, "gzip", "identity"]),
    framing=st.sampled_from(["length", "length", "close", "chunked"]),
    cut=st.sampled_from([None, None, 0.0, 0.3, 0.6, 0.99]),
)


@dataclass(frozen=True)
class Lie:
    """A response whose headers are not those of its body."""

    told: WrongResponse
    sent: bytes

    def raw(self, asked: int | None) -> bytes:
        """Returns the headers of another response, with these bytes."""
        head, _, _ = self.told.raw(asked).partition(b"\r\n\r\n")
        return head + b"\r\n\r\n" + self.sent


lies: st.SearchStrategy[WrongResponse | Lie] = wrong_responses | st.builds(
    Lie,
    wrong_responses,
    st.sampled_from(list(VERSIONS.values())).flatmap(
        lambda content: st.integers(0, 2000).map(lambda start: content[start:])
    ),
)
