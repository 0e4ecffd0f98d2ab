"""Versions of JSON Schema: which one a schema names, and which keywords it has."""

import re
from typing import Any

from friendli_endpoint.chat.structured.json_schema.paths import SchemaError

__all__ = ["Draft", "draft_of", "is_known"]

Draft = int | None
"""4, 6, 7, 2019 or 2020; None if a schema does not name a known version."""

_NAMED = re.compile(
    r"http://json-schema\.org/draft-0([3467])/schema#?"
    r"|https://json-schema\.org/draft/(?:(2019)-09|(2020)-12)/schema#?"
)


def draft_of(root: dict[str, Any]) -> Draft:
    """Returns the version that a schema names in `$schema`.

    Raises:
        SchemaError: It is draft 3, whose keywords have other meanings.
    """
    found = _NAMED.fullmatch(str(root.get("$schema", "")))
    draft = int(found[found.lastindex or 0]) if found else None
    if draft == 3:
        raise SchemaError(("$schema",), "draft 3 is not supported; use draft 4 or later")
    return draft


_SINCE = {
    **dict.fromkeys(("const", "contains", "propertyNames"), 6),
    **dict.fromkeys(("if", "then", "else"), 7),
    **dict.fromkeys(("dependentRequired", "dependentSchemas", "minContains", "maxContains"), 2019),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), 2019),
    "prefixItems": 2020,
}
_UNTIL = {"additionalItems": 2019, "dependencies": 7}
_LATEST = 2020


def is_known(keyword: str, draft: Draft) -> bool:
    """Whether validators of a version evaluate a keyword; None stands for the latest version."""
    version = draft or _LATEST
    return _SINCE.get(keyword, 4) <= version <= _UNTIL.get(keyword, _LATEST)
