"""Bearer tokens: stored as hashes, compared in constant time, reloaded when their file changes."""

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from friendli_endpoint.files import read_text

__all__ = ["TokenDigests", "TokenError", "TokenFile", "find_token", "parse_tokens"]

log = logging.getLogger("friendli_endpoint.http")

TokenDigests: TypeAlias = frozenset[bytes]
"""SHA-256 digests of bearer tokens: one that leaks from memory grants no access."""

MIN_RELOAD_SECONDS = 1.0
"""Minimum interval between two checks of the file for changes, in seconds."""

_TOKEN = re.compile(r"[\x21-\x7e]+")


class TokenError(Exception):
    """Invalid tokens; the message says why without showing a token."""


def parse_tokens(lines: Iterable[str], source: str) -> TokenDigests:
    """Returns the digests of tokens, one a line; ignores empty lines and lines beginning with `#`.

    Args:
        lines: The lines.
        source: Name of their source, for errors.

    Raises:
        TokenError: A line is not a token, or there are no tokens.
    """
    digests = set()
    for number, line in enumerate(lines, 1):
        token = line.strip()
        if not token or token.startswith("#"):
            continue
        if not _TOKEN.fullmatch(token):
            raise TokenError(
                f"{source}: line {number} is not a token: it must be printable ASCII without spaces"
            )
        digests.add(_digest(token.encode()))
    if not digests:
        raise TokenError(f"{source} contains no tokens")
    return frozenset(digests)


def find_token(valid: TokenDigests, token: bytes) -> bytes | None:
    """Returns the digest of a token if it is valid, else None; takes the same time for both."""
    digest = _digest(token)
    matches = [hmac.compare_digest(known, digest) for known in valid]
    return digest if any(matches) else None


class TokenFile:
    """The tokens of a file, reloaded when it changes.

    Args:
        path: The file, with one token a line.
        clock: Monotonic clock in seconds.

    Raises:
        TokenError: The file cannot be read, or contains no tokens or an invalid one.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._checked_at = clock()
        self._version = self._stat()
        self._tokens = self._read()

    def current(self) -> TokenDigests:
        """Returns the tokens; if the file has become invalid, those it had before."""
        now = self._clock()
        if now - self._checked_at >= MIN_RELOAD_SECONDS:
            self._checked_at = now
            self._reload()
        return self._tokens

    def _reload(self) -> None:
        version = self._stat()
        if version == self._version:
            return
        self._version = version
        try:
            self._tokens = self._read()
        except TokenError as error:
            log.error("kept the previous tokens: %s", error)
        else:
            log.info("loaded %d tokens from %s", len(self._tokens), self._path)

    def _read(self) -> TokenDigests:
        try:
            text = read_text(self._path)
        except UnicodeDecodeError as error:
            raise TokenError(f"{self._path} is not UTF-8 text") from error
        except OSError as error:
            raise TokenError(f"cannot read {self._path}: {error.strerror or error}") from error
        return parse_tokens(text.splitlines(), str(self._path))

    def _stat(self) -> tuple[int, int, int] | None:
        """Returns the file's modification time, size and inode; None if there is no file."""
        try:
            stat = self._path.stat()
        except (OSError, ValueError):  # ValueError: the path contains NUL
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
