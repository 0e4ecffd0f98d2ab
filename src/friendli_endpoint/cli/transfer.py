"""Downloads a file over HTTP, with retries, resumption and a checksum.

A response is joined to what has been received before only if its headers say that it is the next
part of the same version of the same file. When the file is complete and checked, it is renamed to
the target.
"""

import contextlib
import errno
import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import httpx2

from friendli_endpoint.cli.addresses import shown_address
from friendli_endpoint.cli.file_response import (
    FileContent,
    ResponseError,
    hub_checksum,
    rest_of_file,
    whole_file,
)
from friendli_endpoint.cli.partial_file import PartialFile, RemoteFile

__all__ = ["ProgressCallback", "Source", "TransferError", "check_sum", "download"]

ProgressCallback: TypeAlias = Callable[[int, int | None], None]
"""Called with the number of bytes received and the total, which is None if unknown."""

MAX_ATTEMPTS = 5
"""Maximum number of connections; a broken one is followed by another if it received data."""

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
SECONDS = 60.0


class TransferError(Exception):
    """A download failed; the message says why in a sentence, and whether a part is kept."""


@dataclass(frozen=True, slots=True)
class Source:
    """Source of a download.

    Attributes:
        url: URL of the file, without user name and password; its query is never shown.
        headers: Headers of the request; credentials are not sent to other hosts on redirects.
        sha256: Expected SHA-256 in hexadecimal; None for the one that a hub sends, if any.
    """

    url: str = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    sha256: str | None = None

    @property
    def shown(self) -> str:
        """The URL without its secrets."""
        return shown_address(self.url)


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
    part = PartialFile(target)
    with _disk_errors(part):
        target.parent.mkdir(parents=True, exist_ok=True)
        with part:
            with _transfer_errors(source, part):
                checksum = _receive_all(client, source, part, progress)
            expected = source.sha256 or checksum
            try:
                if expected:
                    check_sum(part.path, expected)
                check(part.path)
            except TransferError as error:
                part.remove()
                raise TransferError(
                    f"{error}; the download was deleted, and the same command starts it again"
                ) from error
            part.finish()


def _receive_all(
    client: httpx2.Client, source: Source, part: PartialFile, progress: ProgressCallback
) -> str | None:
    """Downloads all missing bytes; returns the checksum that a hub sends, if any."""
    for remaining in reversed(range(MAX_ATTEMPTS)):
        size_before = part.size
        try:
            checksum = _receive(client, source, part, progress)
        except httpx2.TransportError:
            if not remaining or part.size <= size_before:
                raise
            continue
        if part.remote is not None and part.remote.size == part.size:
            return checksum
        if part.size <= size_before:
            break
    raise TransferError(
        f"{source.shown} sends only parts of the file{_resume_hint(part)}; or use another address"
    )


def _receive(
    client: httpx2.Client, source: Source, part: PartialFile, progress: ProgressCallback
) -> str | None:
    """Sends a request for the missing bytes; returns the checksum that a hub sends, if any."""
    size, kept = part.size, part.remote
    if size and kept and kept.etag and kept.is_at(source.url):
        condition = {"range": f"bytes={size}-", "if-range": kept.etag}
        with _get(client, source, condition) as response:
            content = rest_of_file(response, size, kept, source.sha256)
            if content is not None:
                return _store(response, content, source, part, progress)
    with _get(client, source, {}) as response:
        return _store(response, whole_file(response, source.sha256), source, part, progress)


@contextlib.contextmanager
def _get(
    client: httpx2.Client, source: Source, condition: dict[str, str]
) -> Iterator[httpx2.Response]:
    headers = {**source.headers, **condition, "accept-encoding": "identity"}
    with client.stream(
        "GET", source.url, headers=headers, follow_redirects=True, timeout=SECONDS
    ) as response:
        yield response


def _store(
    response: httpx2.Response,
    content: FileContent,
    source: Source,
    part: PartialFile,
    progress: ProgressCallback,
) -> str | None:
    """Writes the content of a response; returns the checksum that a hub sends, if any."""
    received, total = content.start, content.total
    _check_disk_space(part.path, content.length or 0)
    part.begin(received, RemoteFile.of(source.url, content.etag, total))
    progress(received, total)
    for chunk in response.iter_raw() if content.length != 0 else ():
        received += len(chunk)
        if content.length is not None and received > content.start + content.length:
            part.remove()
            raise ResponseError("sends more bytes than it announces; try again")
        part.write(chunk)
        progress(received, total)
    part.sync()
    if content.length is None:
        part.begin(received, RemoteFile.of(source.url, content.etag, received))
    return hub_checksum(response)


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
def _transfer_errors(source: Source, part: PartialFile) -> Iterator[None]:
    """Turns errors of a transfer into `TransferError`, without the secrets in their messages."""
    try:
        yield
    except ResponseError as error:
        raise TransferError(f"{source.shown} {error}") from error
    except httpx2.InvalidURL as error:
        raise TransferError(f"invalid URL: {source.shown}") from error
    except httpx2.HTTPError as error:
        raise TransferError(
            f"the connection failed: {_reason(error)}{_resume_hint(part)}"
        ) from error
    except OSError as error:
        raise _disk_error(part, error, _resume_hint(part)) from error


@contextlib.contextmanager
def _disk_errors(part: PartialFile) -> Iterator[None]:
    """Turns errors of the disk into `TransferError`."""
    try:
        yield
    except BlockingIOError as error:
        raise TransferError(
            f"another command is downloading {part.path}; wait until it has ended"
        ) from error
    except OSError as error:
        raise _disk_error(part, error, "") from error


def _disk_error(part: PartialFile, error: OSError, hint: str) -> TransferError:
    reason = "the disk is full" if error.errno in DISK_FULL else f"{error.strerror or error}"
    return TransferError(f"cannot write {part.path}: {reason}{hint}")


def _reason(error: httpx2.HTTPError) -> str:
    """Returns the reason of an error of a connection, in the system's words or in ours.

    Errors of the protocol quote headers, which may contain a token or a signature.
    """
    if isinstance(error, httpx2.TimeoutException):
        return f"there was no response for {SECONDS:.0f} seconds"
    if isinstance(error, httpx2.NetworkError) and str(error):
        return str(error)
    if isinstance(error, httpx2.TooManyRedirects):
        return "there are too many redirects"
    if isinstance(error, httpx2.UnsupportedProtocol):
        return "the server redirects to an address that is not http or https"
    if isinstance(error, httpx2.ProxyError):
        return "the proxy refuses it"
    return "the server ended it too early or did not respond with valid HTTP"


def _resume_hint(part: PartialFile) -> str:
    remote = part.remote
    size = part.path.stat().st_size if part.path.is_file() else 0
    if remote is None or remote.etag is None or not size:
        return "; the same command starts it again"
    return f"; {size:,} bytes are kept in {part.path}, and the same command resumes from there"
