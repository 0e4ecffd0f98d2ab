"""Text and JSON of bodies whose sender is not trusted."""

from __future__ import annotations

import codecs
import re
from typing import Any

_CHARSET = re.compile(r"""charset=["']?([\w.:-]+)""", re.IGNORECASE)
_TEXT_CODECS = frozenset(
    "ascii big5 cp1252 cp949 euc_jp euc_kr gb18030 gb2312 gbk iso8859-1 iso8859-15 shift_jis "
    "utf-16 utf-16-be utf-16-le utf-8".split()
)
"""Codecs for a body. Others of Python's decompress, take quadratic time, or have no "replace"."""


def body_text(response: Any) -> str:
    """Return a body that has been read as text.

    The charset is that of the content-type if it is a common one, else UTF-8; invalid bytes become
    U+FFFD.
    """
    codec = "utf-8"
    charset = _CHARSET.search(response.headers.get("content-type", ""))
    if charset:
        try:
            named = codecs.lookup(charset[1]).name
        except LookupError:
            named = codec
        codec = named if named in _TEXT_CODECS else codec
    body: bytes = response.content
    return body.decode(codec, errors="replace")


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; None if it is invalid, or nested more than 200 deep."""
    from pydantic_core import from_json

    try:
        return from_json(text)
    except ValueError:
        return None
