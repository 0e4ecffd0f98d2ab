"""Brings a file over HTTP, whole or not at all; it knows no hub and no terminal.

What came is kept beside the target as `NAME.part` with the server's mark for it (its ETag) in
`NAME.part.etag`, and a later transfer goes on from there if the server still has the same file. The
target appears by being renamed, complete and checked.
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

__all__ = ["Progress", "Source", "TransferError", "bring", "check_sum"]

Progress: TypeAlias = Callable[[int, int | None], None]
"""Told the bytes that are here, and how many there will be where that is known."""

ATTEMPTS = 5
"""How often in a row a connection may break; one that brought something is followed by the next."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416
SECONDS = 60.0


class TransferError(Exception):
    """The file was not brought; the message says why in a sentence, and what is kept."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file comes from.

    Attributes:
        url: Its address.
        headers: Of the request; credentials are not sent on to other hosts.
        sha256: The checksum it must have, in hexadecimal; by default what a hub says, if anything.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    sha256: str | None = None


def bring(
    client: httpx2.Client,
    source: Source,
    target: Path,
    *,
    check: Callable[[Path], None],
    progress: Progress,
) -> None:
    """Brings a file to where it is wanted, going on where an earlier transfer stopped.

    Args:
        client: Sends the requests.
        source: Where it comes from.
        target: Where it is wanted; its folder is made.
        check: Looks at the complete file before it gets its name; a `TransferError` removes it.
        progress: Called as bytes arrive.

    Raises:
        TransferError: It was not brought.
    """
    part = _Part(target)
    with _said(part):
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in reversed(range(ATTEMPTS)):
            had = part.size
            try:
                checksum = _transfer(client, source, part, progress)
                break
            except httpx2.TransportError:
                if not left or part.size <= had:
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
        part.mark.unlink(missing_ok=True)


class _Part:
    """What has come of a file so far."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(target.name + ".part")
        self.mark = target.with_name(target.name + ".part.etag")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def etag(self) -> str | None:
        """What the server called the file that this is a part of; a weak name does not count."""
        etag = self.mark.read_text() if self.size and self.mark.exists() else ""
        return etag if etag and not etag.startswith("W/") else None

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.mark.unlink(missing_ok=True)


def _transfer(client: httpx2.Client, source: Source, part: _Part, progress: Progress) -> str | None:
    """Brings what is missing; answers the checksum that a hub gives, if any."""
    headers = {**source.headers, "accept-encoding": "identity"}
    if part.etag is not None:
        headers |= {"range": f"bytes={part.size}-", "if-range": part.etag}
    with client.stream(
        "GET", source.url, headers=headers, follow_redirects=True, timeout=SECONDS
    ) as response:
        if "range" in headers and _is_whole(response, part):
            return _hub_checksum(response)
        if "range" in headers and _is_of_another_file(response, part):
            part.remove()
            return _transfer(client, source, part, progress)
        if not response.is_success:
            raise TransferError(f"{source.url} answers {response.status_code}{_hint(response)}")
        goes_on = response.status_code == PARTIAL_CONTENT
        here = part.size if goes_on else 0
        length = response.headers.get("content-length")
        total = here + int(length) if length is not None else None
        _check_room(part.path, (total or here) - here)
        progress(here, total)
        with part.path.open("ab" if goes_on else "wb") as file:
            part.mark.write_text(response.headers.get("etag", ""))
            for piece in response.iter_raw():
                file.write(piece)
                here += len(piece)
                progress(here, total)
            file.flush()
            os.fsync(file.fileno())
        return _hub_checksum(response)


def _is_whole(response: httpx2.Response, part: _Part) -> bool:
    """Whether there is nothing left to bring."""
    return (
        response.status_code == RANGE_NOT_SATISFIABLE
        and response.headers.get("content-range") == f"bytes */{part.size}"
    )


def _is_of_another_file(response: httpx2.Response, part: _Part) -> bool:
    """Whether an answer to a range cannot be joined to the part."""
    if response.status_code == PARTIAL_CONTENT:
        fits = response.headers.get("content-range", "").startswith(f"bytes {part.size}-")
        return not fits or response.headers.get("etag", part.etag) != part.etag
    return response.status_code == RANGE_NOT_SATISFIABLE


def _hub_checksum(response: httpx2.Response) -> str | None:
    """The SHA-256 that a hub names on its way to the file, as it does for large ones."""
    for each in (*response.history, response):
        linked: str = each.headers.get("x-linked-etag", "").strip('"')
        if len(linked) == 64:
            return linked
    return None


def _hint(response: httpx2.Response) -> str:
    if response.status_code in (401, 403):
        return ": it wants a token that may read this file; set HF_TOKEN for a hub's"
    return ""


def _check_room(path: Path, missing: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if missing > free:
        raise TransferError(
            f"there is no room in {path.parent}: {missing:,} bytes are missing, {free:,} are free"
        )


def check_sum(path: Path, expected: str) -> None:
    """Checks a file's SHA-256.

    Raises:
        TransferError: It is another one.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected.lower():
        raise TransferError(f"the checksum of {path} is wrong: {found}, not {expected}")


@contextlib.contextmanager
def _said(part: _Part) -> Iterator[None]:
    """Makes sentences of what can go wrong with a connection and a disk."""
    try:
        yield
    except httpx2.InvalidURL as error:
        raise TransferError(f"this is no address: {error}") from error
    except httpx2.HTTPError as error:
        raise TransferError(f"the connection broke: {error}{_kept(part)}") from error
    except OSError as error:
        why = "there is no room" if error.errno in NO_ROOM else f"{error.strerror or error}"
        raise TransferError(f"cannot write {part.path}: {why}{_kept(part)}") from error


def _kept(part: _Part) -> str:
    if part.etag is None:
        return ""
    return f"; {part.size:,} bytes are kept in {part.path}, and the same command goes on from there"
