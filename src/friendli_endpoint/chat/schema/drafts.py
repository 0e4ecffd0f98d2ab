"""The versions of JSON Schema, as far as they differ in what is served."""

import re
from typing import Any

__all__ = ["Draft", "draft_of"]

Draft = int | None
"""3, 4, 6, 7, 2019 or 2020; None where a schema names none that is known."""

_NAMED = re.compile(
    r"http://json-schema\.org/draft-0([3467])/schema#?"
    r"|https://json-schema\.org/draft/(?:(2019)-09|(2020)-12)/schema#?"
)


def draft_of(root: dict[str, Any]) -> Draft:
    """The version that a schema says it is written in."""
    found = _NAMED.fullmatch(str(root.get("$schema", "")))
    return int(found[found.lastindex or 0]) if found else None
