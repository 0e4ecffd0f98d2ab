"""Opens files that an operator or a client names: regular files only, without blocking.

Opening a FIFO waits for a writer, and reading a device may never end: either would block its thread
forever.
"""

import errno
import hashlib
import io
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

__all__ = ["digest_of_file", "format_size", "open_regular", "private_copy", "read_text"]

MAX_TEXT_BYTES = 16 << 20
"""Maximum size for `read_text`; chat templates have some tens of kilobytes."""

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file for reading; links are followed.

    Raises:
        OSError: The file cannot be opened, or is a FIFO, a device, a directory or a socket.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:  # the path contains NUL
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_text(path: Path) -> str:
    """Returns the text of a regular file in UTF-8, with all line ends converted to line feeds.

    Raises:
        OSError: The file cannot be opened, is not a regular file, or is larger than 16 MiB.
        UnicodeDecodeError: The file is not UTF-8.
    """
    with open_regular(path) as file:
        content = file.read(MAX_TEXT_BYTES + 1)
    if len(content) > MAX_TEXT_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MAX_TEXT_BYTES >> 20} MiB", str(path))
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8").read()


def digest_of_file(path: Path) -> bytes:
    """Returns the SHA-256 of the content of a regular file; 1.7 GB take a second.

    Raises:
        OSError: The file cannot be read, or is not a regular file.
    """
    open_regular(path).close()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@contextmanager
def private_copy(path: Path) -> Iterator[Path]:
    """Copies a regular file to a private temporary folder, and deletes the copy on exit.

    Yields:
        Path of the copy, which no other process modifies.

    Raises:
        OSError: The file cannot be read, is not a regular file, or there is no space for the copy.
    """
    with (
        open_regular(path) as source,
        TemporaryDirectory(prefix="friendli-endpoint-", ignore_cleanup_errors=True) as folder,
    ):
        copy = Path(folder, "copy")
        with copy.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        yield copy


def format_size(num_bytes: int) -> str:
    """Returns the size of a file or of memory as every message gives it: in MB of 10**6 bytes."""
    return f"{num_bytes / 1e6:,.0f} MB"
