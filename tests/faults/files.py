"""Broken forms of a file: each function puts one in the place of a valid file."""

import os
import random
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["FORMS", "Form"]

Form = Callable[[Path, bytes], Path]
"""Replaces the absent file of a path, given its valid content; returns the path to name."""

HOLE_BYTES = 1 << 28
"""Size of a hole; reading or copying all of it takes longer, and more memory, than is allowed."""


def missing(path: Path, _content: bytes) -> Path:
    return path


def empty(path: Path, _content: bytes) -> Path:
    path.write_bytes(b"")
    return path


def garbage(path: Path, content: bytes) -> Path:
    path.write_bytes(random.Random(0).randbytes(len(content)))
    return path


def nested(path: Path, _content: bytes) -> Path:
    path.write_bytes(b"a = " + b"[" * 100_000)
    return path


def hole(path: Path, _content: bytes) -> Path:
    with path.open("wb") as file:
        file.truncate(HOLE_BYTES)
    return path


def hole_at_the_end(path: Path, content: bytes) -> Path:
    with path.open("wb") as file:
        file.write(content)
        file.truncate(len(content) + HOLE_BYTES)
    return path


def fifo(path: Path, _content: bytes) -> Path:
    """A file that never gives a byte, as nobody writes to it."""
    os.mkfifo(path)
    return path


def link_to_itself(path: Path, _content: bytes) -> Path:
    path.symlink_to(path)
    return path


def link_to_nothing(path: Path, _content: bytes) -> Path:
    path.symlink_to(path.with_name("nothing"))
    return path


def device(path: Path, _content: bytes) -> Path:
    """A file that never ends."""
    path.symlink_to("/dev/zero")
    return path


def directory(path: Path, _content: bytes) -> Path:
    path.mkdir()
    return path


def inside_a_file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path / "inside"


def name_too_long(path: Path, _content: bytes) -> Path:
    return path.with_name("x" * 300)


def unix_socket(path: Path, _content: bytes) -> Path:
    os.mknod(path, stat.S_IFSOCK | 0o600)
    return path


def truncated(tenths: int) -> Form:
    def truncate(path: Path, content: bytes) -> Path:
        path.write_bytes(content[: len(content) * tenths // 10])
        return path

    return truncate


def without_the_last_byte(path: Path, content: bytes) -> Path:
    path.write_bytes(content[:-1])
    return path


FORMS: Mapping[str, Form] = {
    form.__name__.replace("_", " "): form
    for form in (
        missing,
        empty,
        garbage,
        nested,
        hole,
        hole_at_the_end,
        fifo,
        link_to_itself,
        link_to_nothing,
        device,
        directory,
        inside_a_file,
        name_too_long,
        unix_socket,
        without_the_last_byte,
    )
} | {f"truncated to {tenths} tenths": truncated(tenths) for tenths in (1, 5, 9)}
