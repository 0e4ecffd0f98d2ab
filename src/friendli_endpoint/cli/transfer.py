"""Downloads a file over HTTP, with retries, resumption and a checksum.

A partial file is kept beside the target as `NAME.part`, with the server's ETag in
`NAME.part.etag`, and a later download resumes it if the server still has the same file. When it is
complete and checked, it is renamed to the target.
"""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import httpx2

__all__ = ["ProgressCallback", "Source", "TransferError", "check_sum", "download"]

ProgressCallback: TypeAlias = Callable[[int, int | None], None]
"""Called with the number of bytes received and the total, which is None if unknown."""

MAX_ATTEMPTS = 5
"""Maximum number of connections; a broken one is followed by another if it received data."""

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416
SECONDS = 60.0


class TransferError(Exception):
    """A download failed; the message says why in a sentence, and whether a part is kept."""


@dataclass(frozen=True, slots=True)
class Source:
    """Source of a download.

    Attributes:
        url: URL of the file.
        headers: Headers of the request; credentials are not sent to other hosts on redirects.
        sha256: Expected SHA-256 in hexadecimal; None for the one that a hub sends, if any.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    sha256: str | None = None


def download(
    client: httpx2.Client,
    source: Source,
    target: Path,
    *,
    check: Callable[[Path], None],
    progress: ProgressCallback,
) -> None:
    """Downloads a file, resuming an earlier download if there is one.

    Args:
        client: HTTP client for the requests.
        source: Source of the file.
        target: Path of the file; its folder is created.
        check: Checks the complete file before it is renamed; on a `TransferError` it is deleted.
        progress: Called as bytes arrive.

    Raises:
        TransferError: The download failed.
    """
    part = _PartialFile(target)
    with _transfer_errors(part):
        target.parent.mkdir(parents=True, exist_ok=True)
        for remaining in reversed(range(MAX_ATTEMPTS)):
            size_before = part.size
            try:
                checksum = _transfer(client, source, part, progress)
                break
            except httpx2.TransportError:
                if not remaining or part.size <= size_before:
                    raise
        expected = source.sha256 or checksum
        try:
            if expected:
                check_sum(part.path, expected)
            check(part.path)
        except TransferError:
            part.remove()
            raise
        part.path.replace(target)
        part.etag_path.unlink(missing_ok=True)


class _PartialFile:
    """The part of a file that has been downloaded so far."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(target.name + ".part")
        self.etag_path = target.with_name(target.name + ".part.etag")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def etag(self) -> str | None:
        """ETag of the file that this is a part of; None if there is none or it is weak."""
        etag = self.etag_path.read_text() if self.size and self.etag_path.exists() else ""
        return etag if etag and not etag.startswith("W/") else None

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.etag_path.unlink(missing_ok=True)


def _transfer(
    client: httpx2.Client, source: Source, part: _PartialFile, progress: ProgressCallback
) -> str | None:
    """Downloads the missing bytes; returns the checksum that a hub sends, if any."""
    headers = {**source.headers, "accept-encoding": "identity"}
    if part.etag is not None:
        headers |= {"range": f"bytes={part.size}-", "if-range": part.etag}
    with client.stream(
        "GET", source.url, headers=headers, follow_redirects=True, timeout=SECONDS
    ) as response:
        if "range" in headers and _is_complete(response, part):
            return _hub_checksum(response)
        if "range" in headers and _is_of_another_file(response, part):
            part.remove()
            return _transfer(client, source, part, progress)
        if not response.is_success:
            raise TransferError(
                f"{source.url} responded with {response.status_code}{_hint(response)}"
            )
        resumes = response.status_code == PARTIAL_CONTENT
        received = part.size if resumes else 0
        length = response.headers.get("content-length")
        total = received + int(length) if length is not None else None
        _check_disk_space(part.path, (total or received) - received)
        progress(received, total)
        with part.path.open("ab" if resumes else "wb") as file:
            part.etag_path.write_text(response.headers.get("etag", ""))
            for chunk in response.iter_raw():
                file.write(chunk)
                received += len(chunk)
                progress(received, total)
            file.flush()
            os.fsync(file.fileno())
        return _hub_checksum(response)


def _is_complete(response: httpx2.Response, part: _PartialFile) -> bool:
    """Whether the partial file already has all bytes."""
    return (
        response.status_code == RANGE_NOT_SATISFIABLE
        and response.headers.get("content-range") == f"bytes */{part.size}"
    )


def _is_of_another_file(response: httpx2.Response, part: _PartialFile) -> bool:
    """Whether the response to a range request cannot be appended to the partial file."""
    if response.status_code == PARTIAL_CONTENT:
        fits = response.headers.get("content-range", "").startswith(f"bytes {part.size}-")
        return not fits or response.headers.get("etag", part.etag) != part.etag
    return response.status_code == RANGE_NOT_SATISFIABLE


def _hub_checksum(response: httpx2.Response) -> str | None:
    """Returns the SHA-256 from a hub's redirect to the file, which hubs send for large files."""
    for step in (*response.history, response):
        linked: str = step.headers.get("x-linked-etag", "").strip('"')
        if len(linked) == 64:
            return linked
    return None


def _hint(response: httpx2.Response) -> str:
    if response.status_code in (401, 403):
        return ": a token that may read this file is required; set HF_TOKEN for a hub"
    return ""


def _check_disk_space(path: Path, missing: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if missing > free:
        raise TransferError(
            f"{path.parent} has too little disk space: {missing:,} bytes are needed, "
            f"{free:,} are free"
        )


def check_sum(path: Path, expected: str) -> None:
    """Checks a file's SHA-256.

    Raises:
        TransferError: The checksum differs.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected.lower():
        raise TransferError(f"the checksum of {path} must be {expected}, got {found}")


@contextlib.contextmanager
def _transfer_errors(part: _PartialFile) -> Iterator[None]:
    """Turns errors of connections and disks into `TransferError`."""
    try:
        yield
    except httpx2.InvalidURL as error:
        raise TransferError(f"invalid URL: {error}") from error
    except httpx2.HTTPError as error:
        raise TransferError(f"the connection failed: {error}{_resume_hint(part)}") from error
    except OSError as error:
        reason = "the disk is full" if error.errno in DISK_FULL else f"{error.strerror or error}"
        raise TransferError(f"cannot write {part.path}: {reason}{_resume_hint(part)}") from error


def _resume_hint(part: _PartialFile) -> str:
    if part.etag is None:
        return ""
    return f"; {part.size:,} bytes are kept in {part.path}, and the same command resumes from there"
