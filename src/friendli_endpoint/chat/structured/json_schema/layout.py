"""White space and escapes of generated JSON."""

from collections.abc import Mapping
from typing import Any, Literal

__all__ = ["LAYOUTS", "JsonLayout"]

JsonLayout = Literal["free", "line"]

_ESCAPES = 'nrbtf\\"'
"""Escapes of one letter. If `\\u0061` were allowed, a name would have two spellings, and an object
could have a property twice."""

LAYOUTS: Mapping[JsonLayout, Mapping[str, Any]] = {
    "free": {
        "whitespace_flexible": True,
        "whitespace_pattern": r"( |\n {0,16})?",
        "json_allowed_escapes": _ESCAPES,
    },
    "line": {
        "whitespace_flexible": False,
        "item_separator": ", ",
        "key_separator": ": ",
        "json_allowed_escapes": _ESCAPES,
    },
}
"""Options of the compiler, passed in a schema as `x-guidance`.

`free`: between two tokens the model chooses nothing, a space, or a line break with at most 16
spaces of indentation. White space is bounded because small models may generate it without end.
`line`: a space after each comma and colon and nowhere else, as `json.dumps` writes, so that an
answer takes fewer tokens.
"""
