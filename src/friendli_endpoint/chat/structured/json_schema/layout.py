"""How JSON is written where a grammar decides."""

from collections.abc import Mapping
from typing import Any, Literal

__all__ = ["LAYOUTS", "JsonLayout"]

JsonLayout = Literal["free", "line"]

_ESCAPES = 'nrbtf\\"'
"""Those of one letter: were `\\u0061` allowed, a name would have two spellings, and a property
could be there twice."""

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
"""The compiler's options, to be put into a schema as `x-guidance`.

`free`: between two tokens there is nothing, a space, or a new line and its indentation, as the
model likes; unbounded white space is a trap that small models do not leave. `line`: a space after
each comma and colon and nowhere else, as `json.dumps` writes, so that an answer takes fewer tokens.
"""
