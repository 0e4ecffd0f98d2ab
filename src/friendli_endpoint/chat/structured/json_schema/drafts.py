"""The versions of JSON Schema, as far as they differ in what is served."""

import re
from typing import Any

from friendli_endpoint.chat.structured.json_schema.place import SchemaFault

__all__ = ["Draft", "draft_of", "is_known"]

Draft = int | None
"""4, 6, 7, 2019 or 2020; None where a schema names none that is known."""

_NAMED = re.compile(
    r"http://json-schema\.org/draft-0([3467])/schema#?"
    r"|https://json-schema\.org/draft/(?:(2019)-09|(2020)-12)/schema#?"
)


def draft_of(root: dict[str, Any]) -> Draft:
    """The version that a schema says it is written in.

    Raises:
        SchemaFault: It is draft 3, whose words mean other things.
    """
    found = _NAMED.fullmatch(str(root.get("$schema", "")))
    draft = int(found[found.lastindex or 0]) if found else None
    if draft == 3:
        raise SchemaFault(("$schema",), "draft 3 is not served; write it in draft 4 or later")
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
    """Whether validators of a version look at a keyword; without a version, those of the latest."""
    version = draft or _LATEST
    return _SINCE.get(keyword, 4) <= version <= _UNTIL.get(keyword, _LATEST)
