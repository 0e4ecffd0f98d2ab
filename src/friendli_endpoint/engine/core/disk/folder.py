"""Folder of block files that several processes share, with a maximum size.

Files are written under a temporary name and then renamed, so a file that has its name is whole,
unless the machine lost power. Whoever reads a file marks it as used by its modification time. The
least recently used files are deleted, by whoever writes, under a lock.
"""

import contextlib
import heapq
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from friendli_endpoint.generation import StartError

__all__ = ["BlockFolder", "FolderWriter", "LockedError"]

_SUFFIX = ".kv"
_NAME = re.compile(r"[0-9a-f]{64}\.kv")
_TEMPORARY = re.compile(r"[0-9a-f]{64}\.part")
_LOCK = "lock"
_FOLDER = "prefixes"
"""Own folder inside the given one, which may be shared or a mount whose mode cannot be changed."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class LockedError(Exception):
    """Another process is writing into the folder."""


class BlockFolder:
    """Folder of block files; any number of processes may use it at the same time.

    Only its owner can access the folder and its files. Other files in it are left alone.

    Args:
        parent: The folder in which it is made, if it does not exist yet.
        max_bytes: Maximum size of all block files together.

    Raises:
        StartError: The folder cannot be created, or other users can access it.
    """

    def __init__(self, parent: Path, max_bytes: int) -> None:
        self.path = path = parent / _FOLDER
        self.max_bytes = max_bytes
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = path.stat()
        except OSError as error:
            raise StartError(
                f"--prefix-cache: cannot create {path}: {error.strerror or error}"
            ) from error
        if sys.platform != "win32" and (status.st_uid != os.geteuid() or status.st_mode & _OTHERS):
            raise StartError(
                f"--prefix-cache: {path} will contain prompts, but other users can access it; "
                f"remove it, or run: chmod 700 {path}"
            )

    def path_of(self, key: bytes) -> Path:
        """Returns the path of a block's file, whether there is one or not."""
        return self.path / f"{key.hex()}{_SUFFIX}"

    def contains(self, key: bytes) -> bool:
        """Whether there is a file of a block."""
        return os.path.exists(self.path_of(key))

    def touch(self, key: bytes, used_ns: int) -> bool:
        """Marks a block as used.

        Args:
            key: The key.
            used_ns: Time of its use, in nanoseconds since the epoch.

        Returns:
            Whether there is such a block.
        """
        with contextlib.suppress(OSError):  # the mark is lost in a folder that cannot be written
            os.utime(self.path_of(key), ns=(used_ns, used_ns))
            return True
        return self.contains(key)

    def remove(self, key: bytes) -> None:
        """Removes a block, if there is one and it is a regular file."""
        with contextlib.suppress(OSError):
            self.path_of(key).unlink()

    @contextmanager
    def writer(self) -> Iterator["FolderWriter"]:
        """Locks the folder for writing.

        Raises:
            LockedError: Another process has locked it.
            OSError: The folder cannot be read or written.
        """
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            _lock(file)
            yield FolderWriter(self)


class FolderWriter:
    """Writes blocks into a folder that is locked, and deletes others to make space.

    Args:
        folder: The folder.

    Raises:
        OSError: The folder cannot be read.
    """

    def __init__(self, folder: BlockFolder) -> None:
        self._folder = folder
        self._oldest: list[tuple[int, int, str]] = []
        with os.scandir(folder.path) as entries:
            for entry in entries:
                if _TEMPORARY.fullmatch(entry.name):  # its writer ended, or it had the lock
                    self._unlink(entry.name)
                elif _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        self._oldest.append((status.st_mtime_ns, status.st_size, entry.name))
        heapq.heapify(self._oldest)
        self._bytes = sum(size for _, size, _ in self._oldest)
        self._make_space(0, sys.maxsize)

    def write(self, key: bytes, size: int, used_ns: int, write: Callable[[BinaryIO], None]) -> bool:
        """Writes a block, unless all space is taken by blocks that were used later.

        Args:
            key: Its key.
            size: Size of its file in bytes.
            used_ns: Time of its last use, in nanoseconds since the epoch.
            write: Writes the content.

        Returns:
            Whether it was written.

        Raises:
            OSError: The file cannot be written; there is none then.
        """
        if not self._make_space(size, used_ns):
            return False
        path = self._folder.path_of(key)
        temporary = path.with_suffix(".part")
        try:
            with os.fdopen(os.open(temporary, _WRITE_FLAGS, 0o600), "wb") as file:
                write(file)
            os.utime(temporary, ns=(used_ns, used_ns))
            temporary.replace(path)
        except BaseException:
            self._unlink(temporary.name)
            raise
        self._bytes += size
        heapq.heappush(self._oldest, (used_ns, size, path.name))
        return True

    def _make_space(self, size: int, used_ns: int) -> bool:
        """Deletes blocks that were used before `used_ns` until `size` more bytes fit."""
        while self._bytes + size > self._folder.max_bytes:
            if not self._oldest or self._oldest[0][0] >= used_ns:
                return False
            _, freed, name = heapq.heappop(self._oldest)
            self._unlink(name)
            self._bytes -= freed
        return True

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self._folder.path / name).unlink()


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        """Locks a file until it is closed."""
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise LockedError from error

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        """Locks a file until it is closed."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError from error
