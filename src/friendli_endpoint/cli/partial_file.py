"""The part of a file that has been downloaded so far, on disk.

It is `NAME.part` beside the target, and `NAME.part.json` tells which file it is a part of.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

__all__ = ["PartialFile", "RemoteFile", "strong_etag"]

_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A version of a file on a server.

    Attributes:
        address: SHA-256 of its URL, which may contain a secret.
        etag: Its strong ETag; None if it has none.
        size: Its size in bytes; None if it is not known.
    """

    address: str
    etag: str | None
    size: int | None

    @classmethod
    def of(cls, url: str, etag: str | None, size: int | None) -> "RemoteFile":
        """Returns the version of a file with a URL."""
        return cls(_digest(url), etag, size)

    def is_at(self, url: str) -> bool:
        """Whether a URL is that of this file."""
        return self.address == _digest(url)


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def strong_etag(value: str | None) -> str | None:
    """Returns an `etag` header if it identifies the bytes of a file, else None."""
    return value if value is not None and _STRONG_ETAG.fullmatch(value) else None


class PartialFile:
    """The part of a file that has been downloaded so far; no other process writes it meanwhile.

    Usage:

        with PartialFile(target) as part:
            part.begin(0, remote)
            part.write(chunk)
            part.finish()

    An empty part is deleted at the end.

    Args:
        target: Path of the whole file.
    """

    _file: io.BufferedRandom

    def __init__(self, target: Path) -> None:
        self._target = target
        self.path = target.with_name(target.name + ".part")
        self._state_path = target.with_name(target.name + ".part.json")

    def __enter__(self) -> "PartialFile":
        """Opens the part.

        Raises:
            BlockingIOError: Another process has it open.
            OSError: It cannot be opened.
        """
        while True:
            flags = (
                os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
            )
            self._file = os.fdopen(os.open(self.path, flags, 0o666), "r+b")
            try:
                _lock(self._file)
                if _is_open_file(self.path, self._file):
                    self._file.seek(0, os.SEEK_END)
                    return self
            except BaseException:
                self._file.close()
                raise
            self._file.close()  # another process finished it or deleted it before it was locked

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Closes the part; bytes that cannot be written, as the disk is full, are given up."""
        if self._file.closed:
            return
        with contextlib.suppress(OSError):
            self._file.flush()
        if self.path.is_file() and os.fstat(self._file.fileno()).st_size == 0:
            self.remove()
        with contextlib.suppress(OSError):
            self._file.close()

    @property
    def size(self) -> int:
        """Size in bytes."""
        self._file.flush()
        return os.fstat(self._file.fileno()).st_size

    @property
    def remote(self) -> RemoteFile | None:
        """The file that this is a part of, if it is known."""
        try:
            state = json.loads(self._state_path.read_bytes())
            return RemoteFile(state["address"], strong_etag(state["etag"]), state["size"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def begin(self, start: int, remote: RemoteFile) -> None:
        """Goes to a position, up to which the part is kept, and remembers which file it is of."""
        if self.size != start:
            self._file.truncate(start)
        self._file.seek(start)
        self._state_path.write_text(json.dumps(asdict(remote)))

    def write(self, chunk: bytes) -> None:
        """Appends bytes."""
        self._file.write(chunk)

    def sync(self) -> None:
        """Waits until all bytes are on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Gives the part the name of the whole file."""
        self._release()
        self.path.replace(self._target)
        self._state_path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Deletes and closes the part."""
        self._release()
        self.path.unlink(missing_ok=True)
        self._state_path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._file.close()

    def _release(self) -> None:
        """Closes the part where an open file cannot be renamed or deleted."""
        if sys.platform == "win32":
            self._file.close()


def _is_open_file(path: Path, file: io.BufferedRandom) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


if sys.platform == "win32":

    def _lock(_file: io.BufferedRandom) -> None:
        """Does nothing: a locked file could not be read to check it."""

else:
    import fcntl

    def _lock(file: io.BufferedRandom) -> None:
        """Locks a file until it is closed; raises BlockingIOError if another process has."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
