"""JSON schemas of `response_format` and of tools, rewritten into what the compiler gets right.

The compiler (llguidance) takes more than it enforces, and some of what it takes would crash it. A
schema of any draft is therefore rewritten: into keywords of draft 2020-12 that are known to be
enforced, with values in the ranges where they are, references by pointer alone. Where a rewriting
cannot mean the same it means less, never more: whatever is generated satisfies the schema as it was
sent. What has no such rewriting is refused with the keyword and its place.

`fit.py` leads through it; `rewriting.py` has the table from keywords to their rewritings.
"""

from friendli_endpoint.chat.structured.json_schema.error_messages import fault_of, in_words
from friendli_endpoint.chat.structured.json_schema.fit import FitSchema, fit_schema
from friendli_endpoint.chat.structured.json_schema.layout import LAYOUTS, JsonLayout
from friendli_endpoint.chat.structured.json_schema.size import schema_text

__all__ = [
    "LAYOUTS",
    "FitSchema",
    "JsonLayout",
    "fault_of",
    "fit_schema",
    "in_words",
    "schema_text",
]
