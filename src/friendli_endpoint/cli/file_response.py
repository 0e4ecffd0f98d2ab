"""Decides from its headers whether a response is a file, or the missing part of one (RFC 9110)."""

import re
from dataclasses import dataclass
from itertools import pairwise

import httpx2

from friendli_endpoint.cli.partial_file import RemoteFile, strong_etag

__all__ = ["FileContent", "ResponseError", "hub_checksum", "rest_of_file", "whole_file"]

OK, PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 200, 206, 416

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_SHA256 = re.compile("[0-9a-fA-F]{64}")


class ResponseError(Exception):
    """A response whose content is not stored; the message says what the server does."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """Content of a response.

    Attributes:
        start: Position in the file of its first byte.
        length: Its length in bytes; None if only its end tells.
        total: Size of the file in bytes; None if only the end of the content tells.
        etag: Strong ETag of the file, or None.
    """

    start: int
    length: int | None
    total: int | None
    etag: str | None


def whole_file(response: httpx2.Response, sha256: str | None) -> FileContent:
    """Returns the content of a response to a request for a whole file.

    Args:
        response: The response, of which only the headers have been read.
        sha256: Expected SHA-256, if it is known before the request.

    Raises:
        ResponseError: The response is not a whole file, or it would not be noticed if its end were
            missing.
    """
    if response.status_code == PARTIAL_CONTENT:
        raise ResponseError(
            "responded with a part of the file, although all of it was requested; try again, or "
            "use another address"
        )
    if response.status_code != OK:
        raise ResponseError(f"responded with {response.status_code}{_hint(response)}")
    _check_representation(response)
    length = _content_length(response)
    is_delimited = length is not None or _is_chunked(response)
    if not (is_delimited or sha256 or hub_checksum(response)):
        raise ResponseError(
            "does not tell the size of the file, so a missing end would not be noticed: "
            "set --sha256"
        )
    return FileContent(0, length, length, strong_etag(response.headers.get("etag")))


def rest_of_file(
    response: httpx2.Response, start: int, kept: RemoteFile, sha256: str | None
) -> FileContent | None:
    """Returns the content of a response to a request for the bytes of a file from `start` on.

    It may be a whole file, the rest of the file, a part of that, or nothing if no bytes are
    missing.

    Args:
        response: The response, of which only the headers have been read.
        start: Number of bytes that are kept of the file.
        kept: The file, which has a strong ETag.
        sha256: Expected SHA-256, if it is known before the request.

    Returns:
        The content; None if it cannot be joined to the kept bytes.

    Raises:
        ResponseError: As for `whole_file`.
    """
    if response.status_code == RANGE_NOT_SATISFIABLE:
        etag = response.headers.get("etag", kept.etag)
        is_complete = kept.size == start and etag == kept.etag
        return FileContent(start, 0, start, kept.etag) if is_complete else None
    if response.status_code != PARTIAL_CONTENT:
        return whole_file(response, sha256)
    _check_representation(response)
    found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    if found is None or response.headers.get("etag") != kept.etag:
        return None
    first, last, total = map(int, found.groups())
    length = last - first + 1
    if first != start or not first <= last < total or kept.size not in (None, total):
        return None
    if _content_length(response) not in (None, length):
        return None
    return FileContent(start, length, total, kept.etag)


def hub_checksum(response: httpx2.Response) -> str | None:
    """Returns the SHA-256 from a hub's redirect to the file, which hubs send for large files."""
    for step in (*response.history, response):
        linked: str = step.headers.get("x-linked-etag", "").strip('"')
        if _SHA256.fullmatch(linked):
            return linked
    return None


def _check_representation(response: httpx2.Response) -> None:
    """Checks that the bytes of a response are those of the file, from where the user asked."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise ResponseError(
            "compresses the file, although it was requested as it is; use another address"
        )
    schemes = [step.request.url.scheme for step in (*response.history, response)]
    if ("https", "http") in pairwise(schemes):
        raise ResponseError(
            "redirects from https to http, where others can change the file; use another address"
        )


def _content_length(response: httpx2.Response) -> int | None:
    value = response.headers.get("content-length", "")
    return int(value) if re.fullmatch(r"\d{1,18}", value, re.ASCII) else None


def _is_chunked(response: httpx2.Response) -> bool:
    encoding: str = response.headers.get("transfer-encoding", "")
    return encoding.strip().lower() == "chunked"


def _hint(response: httpx2.Response) -> str:
    if response.status_code in (401, 403):
        return ": a token that may read this file is required; set HF_TOKEN for a hub"
    if response.status_code in (404, 410):
        return ": check the address"
    return ": try again later"
