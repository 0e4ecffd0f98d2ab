"""Addresses and tokens that a user gives, without their secrets in errors."""

import base64
import os
from dataclasses import dataclass, field

import httpx2

from friendli_endpoint.cli.errors import exit_with_error

__all__ = ["ParsedAddress", "bearer_headers", "find_address", "shown_address"]


@dataclass(frozen=True, slots=True)
class ParsedAddress:
    """Address of a file or an endpoint.

    Attributes:
        url: The URL without user name and password; its query may be a secret, such as a signature.
        headers: Headers of requests: `authorization` if the URL had a user name.
    """

    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)


def find_address(text: str) -> ParsedAddress | None:
    """Returns the address of an `http` or `https` URL; None if the text is not one."""
    url = _parse(text)
    if url is None or url.scheme not in ("http", "https"):
        return None
    if not url.userinfo:
        return ParsedAddress(str(url), {})
    login = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
    return ParsedAddress(str(url.copy_with(userinfo=b"")), {"authorization": f"Basic {login}"})


def shown_address(text: str) -> str:
    """Returns a text that should be an address, without what may be a secret.

    That is the user name, the password, the query and the fragment; all of it, if the text has a
    sign of one of these and is not a URL.
    """
    url = _parse(text)
    if url is not None:
        return f"{url.scheme}://{url.netloc.decode()}{url.raw_path.decode().partition('?')[0]}"
    return "the address" if any(sign in text for sign in "@?#") else repr(text)


def bearer_headers(variable: str) -> dict[str, str]:
    """Returns the `authorization` header of a token in the environment, if it is set.

    White space around the token is removed. If the token cannot be sent, the command exits with an
    error that does not show it.
    """
    token = os.environ.get(variable, "").strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        exit_with_error(f"{variable}: a token must be printable ASCII without spaces")
    return {"authorization": f"Bearer {token}"} if token else {}


def _parse(text: str) -> httpx2.URL | None:
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError):  # their messages show parts of the text
        return None
    return url if url.scheme and url.host else None
