"""Values that must not be shown: the token, and headers that carry it.

Whatever holds a token in a frame of ours holds one of these, so that a traceback which prints
locals prints no secret.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

_SECRET_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"}
)


class Token:
    """A token, or a callable that gives one; shown as `***`.

    Args:
        value: The token, a zero-argument callable that returns it, or None. A leading `Bearer `
            and whitespace round the token are dropped.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | Callable[[], str] | None) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Token(***)" if self._value else "Token()"

    def __reduce__(self) -> str:
        raise TypeError("a token is not pickled")

    def header(self) -> Header | None:
        """Give the Authorization header, asking the callable; None where there is no token.

        Raises:
            TypeError: The token is not a string.
            ValueError: The token holds characters that a header cannot carry.
        """
        return _bearer(self._value() if callable(self._value) else self._value)


class Header(str):
    """A header's value that is shown as `***`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Url(str):
    """A URL that is shown without user name, password, query and fragment."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(shown_url(self))


def _bearer(token: object) -> Header | None:
    if token is None:
        return None
    if not isinstance(token, str):
        kind = type(token).__name__
        del token
        raise TypeError(f"token must be a string, not {kind}")
    bare = Header(token.strip())
    if bare[:7].lower() == "bearer ":
        bare = Header(bare[7:].strip())
    if not bare:
        return None
    if not (bare.isascii() and bare.isprintable()):
        del token, bare
        raise ValueError("token holds characters that an HTTP header cannot carry")
    return Header(f"Bearer {bare}")


def masked(headers: dict[str, str]) -> dict[str, str]:
    """Copy headers for showing, secrets replaced by `***`."""
    return {
        name: "***" if name.lower() in _SECRET_HEADERS else value for name, value in headers.items()
    }


def shown_url(url: str) -> str:
    """Give a URL without user name, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
