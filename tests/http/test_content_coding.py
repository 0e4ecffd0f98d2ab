"""Content codings of request bodies: what is decoded, what is rejected, and within which limits."""

import asyncio
import gzip
import json
import sys
import threading
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http import content_coding
from friendli_endpoint.http.content_coding import ACCEPTED, MAX_STREAMS, PART_BYTES, decoder_of
from friendli_endpoint.http.limits.body_memory import BodyMemoryBudget
from tests.http.scripted import (
    COMPLETIONS,
    JSON_TYPE,
    VALID,
    Call,
    ScriptedService,
    called,
    check_error,
    run,
    scripted_app,
    steps,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TOKENIZE = "/dedicated/v1/tokenize"
BODY = b'{"model": "m", "prompt": "abc"}'


def raw(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def stored(data: bytes) -> bytes:
    """Raw deflate without compression, which begins with a zero byte or 0x01."""
    compressor = zlib.compressobj(level=0, wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def streamed_zstd(data: bytes) -> bytes:
    """A frame without the size of its content, with a checksum."""
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.checksum_flag: 1})
    return compressor.compress(data) + compressor.flush()


def in_halves(encode: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: encode(data[:7]) + encode(b"") + encode(data[7:])


SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "upper case": ("GZIP", gzip.compress),
    "members": ("gzip", in_halves(gzip.compress)),
    "zlib": ("deflate", zlib.compress),
    "zlib, fast": ("Deflate", lambda data: zlib.compress(data, 1)),
    "raw": ("deflate", raw),
    "stored": ("deflate", stored),
    "zstd": ("zstd", zstd.compress),
    "zstd, best": ("ZStd", lambda data: zstd.compress(data, 19)),
    "zstd, streamed": ("zstd", streamed_zstd),
    "frames": ("zstd", in_halves(zstd.compress)),
    "skippable": ("zstd", lambda data: SKIPPABLE + zstd.compress(data) + SKIPPABLE),
    "identity": ("Identity", bytes),
    "empty header": ("", bytes),
    "empty elements": (", gzip ,", gzip.compress),
}
CODED = {name: it for name, it in ENCODERS.items() if it[0].lower() not in ("", "identity")}
STRICT = {"gzip": ENCODERS["gzip"], "zlib": ENCODERS["zlib"], "zstd": ENCODERS["zstd, streamed"]}
"""Forms with a checksum."""


def decoded(coding: str, body: bytes, max_bytes: int = 1 << 20) -> bytes:
    decode = decoder_of([coding], max_bytes)
    assert decode is not None
    return decode(body, lambda _num_bytes: None)


def posted(coding: str | tuple[str, ...], body: bytes, path: str = TOKENIZE, **policy: Any) -> Call:
    lines = (coding,) if isinstance(coding, str) else coding
    headers = [JSON_TYPE, *(("content-encoding", line) for line in lines)]
    app = scripted_app(ScriptedService(), open_admin=True, **policy)
    return called(app, "POST", path, *headers, body=[body])


# ── what is decoded ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ENCODERS)
def test_a_coded_body_is_read_like_a_plain_one(name: str) -> None:
    coding, encode = ENCODERS[name]
    assert posted(coding, encode(BODY)).json == posted((), BODY).json


ROUTES = {
    "/dedicated/v1/tokenize": BODY,
    "/dedicated/v1/detokenize": b'{"model": "m", "tokens": [1]}',
    "/dedicated/v1/chat/render": json.dumps(VALID).encode(),
    "/dedicated/v1/adapters": b'{"route": "a", "file": "b"}',
}


def test_every_route_that_reads_a_body_is_tested() -> None:
    posts = {
        path
        for path, methods in scripted_app(ScriptedService()).openapi()["paths"].items()
        if "post" in methods
    }
    assert posts == {*ROUTES, COMPLETIONS}


@pytest.mark.parametrize("name", ["gzip", "raw", "zstd"])
@pytest.mark.parametrize("path", ROUTES)
def test_every_route_decodes_its_body(path: str, name: str) -> None:
    coding, encode = ENCODERS[name]
    plain, coded = posted((), ROUTES[path], path), posted(coding, encode(ROUTES[path]), path)
    assert coded.status == plain.status < 300
    assert coded.json == plain.json


@pytest.mark.parametrize("name", CODED)
def test_a_completion_decodes_its_body_in_another_thread(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    original = content_coding.Coding.decode

    def observed(*args: Any) -> bytes:
        threads.append(threading.current_thread())
        return original(*args)

    monkeypatch.setattr(content_coding.Coding, "decode", observed)
    coding, encode = ENCODERS[name]

    async def scenario() -> None:
        service = ScriptedService()
        headers = (JSON_TYPE, ("content-encoding", coding))
        body = [encode(json.dumps(VALID).encode())]
        async with Call(
            scripted_app(service), "POST", COMPLETIONS, headers=headers, body=body
        ) as c:
            await service.scripted.submitted.wait()
            service.scripted.deliver(steps("a", finish=True))
            assert (await c.done()).status == 200
        assert [message.content for message in service.prepared[0].messages] == ["Hello!"]
        assert asyncio.get_running_loop()
        assert threading.current_thread() not in threads

    run(scenario)
    assert len(threads) == 1


@given(st.sampled_from(sorted(CODED)), st.binary(max_size=2000), st.integers(1, 300))
@pytest.mark.property
def test_decoding_reverses_encoding(name: str, data: bytes, repeat: int) -> None:
    coding, encode = CODED[name]
    assert decoded(coding, encode(data * repeat)) == data * repeat


# ── what is rejected ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (("br",), "br"),
        (("compress",), "compress"),
        (("gzip, gzip",), "gzip, gzip"),
        (("deflate,ZSTD",), "deflate, ZSTD"),
        (("gzip", "zstd"), "gzip, zstd"),
        (("identity, gzip",), "identity, gzip"),
        (("gzip;q=1",), "gzip;q=1"),
        (("aws-chunked",), "aws-chunked"),
    ],
)
@pytest.mark.parametrize("path", [*ROUTES, COMPLETIONS])
def test_other_and_stacked_codings_get_415_that_names_the_supported_ones(
    lines: tuple[str, ...], shown: str, path: str
) -> None:
    call = posted(lines, BODY, path)
    error = check_error(call, 415, "content-encoding")
    assert error["code"] == "unsupported_content_encoding"
    assert error["message"].endswith(f"must be one of gzip, deflate, zstd, identity, got {shown}")
    assert call.header("accept-encoding") == ACCEPTED


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize(
    "spoil",
    [lambda data: data[:-1], lambda data: data + b"x", lambda _data: BODY],
    ids=["cut off", "followed by another byte", "plain"],
)
def test_broken_data_get_400(name: str, spoil: Callable[[bytes], bytes]) -> None:
    coding, encode = CODED[name]
    call = posted(coding, spoil(encode(BODY)))
    error = check_error(call, 400, "content-encoding")
    assert error["code"] == "invalid_content"
    assert error["message"].startswith("content-encoding: the body is not valid ")


@pytest.mark.parametrize("name", CODED)
def test_data_cut_anywhere_are_rejected(name: str) -> None:
    coding, encode = CODED[name]
    whole = encode(BODY)
    for end in range(1, len(whole)):
        try:
            assert decoded(coding, whole[:end]) in (b"", BODY[:7], BODY), "ends between streams"
            assert name in ("members", "frames", "skippable")
        except RequestError as error:
            assert error.status == 400


@pytest.mark.parametrize("name", STRICT)
def test_a_changed_byte_is_rejected_or_changes_nothing(name: str) -> None:
    coding, encode = STRICT[name]
    whole = encode(BODY)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        try:
            assert decoded(coding, bytes(changed)) == BODY
        except RequestError as error:
            assert error.status == 400


@given(st.sampled_from(["gzip", "deflate", "zstd"]), st.binary(min_size=1, max_size=300))
@pytest.mark.property
def test_arbitrary_bytes_decode_or_are_rejected(coding: str, data: bytes) -> None:
    try:
        assert isinstance(decoded(coding, data), bytes)
    except RequestError as error:
        assert error.status == 400


@pytest.mark.parametrize("name", CODED)
def test_an_empty_body_is_rejected_as_such(name: str) -> None:
    coding, encode = CODED[name]
    plain = check_error(posted((), b""), 400)
    assert check_error(posted(coding, b""), 400) == plain
    assert check_error(posted(coding, encode(b"")), 400) == plain


@pytest.mark.parametrize("name", CODED)
def test_errors_of_the_decoded_body_are_those_of_a_plain_one(name: str) -> None:
    coding, encode = CODED[name]
    for body in (b"{", b"{}", b'{"model": "m", "prompt": 1}', b"\xff"):
        assert posted(coding, encode(body)).json == posted((), body).json


# ── limits ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", sorted({*CODED} - {"stored"}))
def test_the_size_limit_is_that_of_the_decoded_body(name: str) -> None:
    coding, encode = CODED[name]
    fits = BODY + b" " * (10_000 - len(BODY))
    assert posted(coding, encode(fits), max_body=10_000).status == 200
    call = posted(coding, encode(fits + b" "), max_body=10_000)
    assert check_error(call, 413)["code"] == "body_too_large"
    assert check_error(call, 413) == check_error(posted((), fits + b" ", max_body=10_000), 413)


@pytest.mark.parametrize("name", CODED)
def test_a_bomb_is_not_decoded_beyond_the_limit(name: str) -> None:
    coding, encode = CODED[name]
    bomb = encode(b" " * (32 << 20))
    reserved: list[int] = []
    decode = decoder_of([coding], 1 << 20)
    assert decode is not None
    with pytest.raises(RequestError) as raised:
        decode(bomb, reserved.append)
    assert raised.value.status == 413
    assert sum(reserved) <= 1 << 20
    assert max(reserved) <= PART_BYTES


def test_a_zstd_frame_with_a_larger_window_than_the_web_allows_is_rejected() -> None:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 24})
    body = compressor.compress(BODY) + compressor.flush()
    check_error(posted("zstd", body), 400, "content-encoding")


@pytest.mark.parametrize(
    ("coding", "empty"),
    [("gzip", gzip.compress(b"", mtime=0)), ("zstd", SKIPPABLE)],
    ids=["gzip", "zstd"],
)
def test_the_number_of_streams_is_limited(coding: str, empty: bytes) -> None:
    assert decoded(coding, empty * MAX_STREAMS) == b""
    with pytest.raises(RequestError, match="more than 4,096 parts"):
        decoded(coding, empty * (MAX_STREAMS + 1))


@pytest.mark.parametrize("name", CODED)
def test_decoded_bytes_count_as_memory_of_bodies_until_they_are_parsed(name: str) -> None:
    coding, encode = CODED[name]
    body = encode(BODY + b" " * 9_000)
    memory = BodyMemoryBudget(len(body) + len(BODY) + 9_000)
    assert posted(coding, body, body_memory=memory).status == 200
    assert memory.num_bytes == 0
    memory = BodyMemoryBudget(len(body) + len(BODY) + 8_999)
    call = posted(coding, body, body_memory=memory)
    assert check_error(call, 503)["code"] == "body_memory_full"
    assert call.header("retry-after") == "1"
    assert memory.num_bytes == 0
    posted(coding, body[:-1], body_memory=memory)
    assert memory.num_bytes == 0
