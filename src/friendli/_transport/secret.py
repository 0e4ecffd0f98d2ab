"""Secrets: the token, and the headers and URLs that contain it, with a masked repr.

Local variables of the client hold a token only in these types, so that a traceback which prints
locals does not print a secret.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

_SECRET_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"}
)


class Token:
    """Token, or a callable that returns one; shown as `***`.

    Args:
        value: The token, a callable without arguments that returns it, or None. A leading `Bearer `
            and surrounding whitespace are removed.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | Callable[[], str] | None) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Token(***)" if self._value else "Token()"

    def __reduce__(self) -> str:
        raise TypeError("a token cannot be pickled")

    def header(self) -> Header | None:
        """Return the value of the Authorization header, or None without a token.

        Calls the callable, if the token is one.

        Raises:
            TypeError: The token is not a string.
            ValueError: The token contains characters that are invalid in an HTTP header.
        """
        return _bearer(self._value() if callable(self._value) else self._value)


class Header(str):
    """Header value that is shown as `***`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Url(str):
    """URL that is shown without user name, password, query and fragment."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(shown_url(self))


def _bearer(token: object) -> Header | None:
    if token is None:
        return None
    if not isinstance(token, str):
        kind = type(token).__name__
        del token
        raise TypeError(f"`token` must be a string, got {kind}")
    bare = Header(token.strip())
    if bare[:7].lower() == "bearer ":
        bare = Header(bare[7:].strip())
    if not bare:
        return None
    if not (bare.isascii() and bare.isprintable()):
        del token, bare
        raise ValueError("`token` contains characters that are invalid in an HTTP header")
    return Header(f"Bearer {bare}")


def masked(headers: dict[str, str]) -> dict[str, str]:
    """Return a copy of headers with secrets replaced by `***`."""
    return {
        name: "***" if name.lower() in _SECRET_HEADERS else value for name, value in headers.items()
    }


def shown_url(url: str) -> str:
    """Return a URL without user name, password, query and fragment."""
    if "://" not in url:
        return str(url.rpartition("@")[2].partition("?")[0])
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
