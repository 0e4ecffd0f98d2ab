"""Bearer tokens: kept as hashes, compared in constant time, read again when their file changes."""

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from friendli_endpoint.files import read_text

__all__ = ["TokenError", "TokenFile", "Tokens", "find", "parse_tokens"]

log = logging.getLogger("friendli_endpoint.http")

Tokens: TypeAlias = frozenset[bytes]
"""SHA-256 digests: what leaks from memory opens nothing."""

LOOK_SECONDS = 1.0
"""How often at most the file is looked at."""

_TOKEN = re.compile(r"[\x21-\x7e]+")


class TokenError(Exception):
    """Tokens that cannot be used; the message says why, and shows none."""


def parse_tokens(lines: Iterable[str], place: str) -> Tokens:
    """The digests of tokens, one a line; empty lines and those that begin with `#` do not count.

    Args:
        lines: Where the tokens are.
        place: What to call that in an error.

    Raises:
        TokenError: A line is no token, or there is none.
    """
    digests = set()
    for number, line in enumerate(lines, 1):
        token = line.strip()
        if not token or token.startswith("#"):
            continue
        if not _TOKEN.fullmatch(token):
            raise TokenError(
                f"{place}: line {number} is no token: printable ASCII without spaces is expected"
            )
        digests.add(_digest(token.encode()))
    if not digests:
        raise TokenError(f"{place} holds no token")
    return frozenset(digests)


def find(tokens: Tokens, token: bytes) -> bytes | None:
    """The digest of a token that is among them; takes as long whether or not it is."""
    digest = _digest(token)
    matches = [hmac.compare_digest(each, digest) for each in tokens]
    return digest if any(matches) else None


class TokenFile:
    """The tokens of a file that may change.

    Args:
        path: The file.
        clock: Seconds that never go back.

    Raises:
        TokenError: It cannot be read, or holds no tokens.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._version = self._stat()
        self._tokens = self._read()

    def current(self) -> Tokens:
        """The tokens; where the file has become unusable, those it had before."""
        now = self._clock()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._look()
        return self._tokens

    def _look(self) -> None:
        version = self._stat()
        if version == self._version:
            return
        self._version = version
        try:
            self._tokens = self._read()
        except TokenError as error:
            log.error("the tokens stay as they were: %s", error)
        else:
            log.info("read %d tokens from %s", len(self._tokens), self._path)

    def _read(self) -> Tokens:
        try:
            text = read_text(self._path)
        except UnicodeDecodeError as error:
            raise TokenError(f"{self._path} is no UTF-8 text") from error
        except OSError as error:
            raise TokenError(f"cannot read {self._path}: {error.strerror or error}") from error
        return parse_tokens(text.splitlines(), str(self._path))

    def _stat(self) -> tuple[int, int, int] | None:
        """What tells one version of the file from another; None where there is no file."""
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
