"""JSON schemas of `response_format` and of tools, rewritten into what the compiler enforces.

The compiler (llguidance) accepts more than it enforces, and some schemas would crash it. A schema
of any draft is therefore rewritten: into keywords of draft 2020-12 that are known to be enforced,
with values in the ranges where they are, and with references that are plain pointers. If a
rewriting cannot be equivalent, it is stricter, never looser: all generated output satisfies the
schema as it was sent. A schema without such a rewriting is rejected with the path of the keyword.

`pipeline.py` has the sequence of stages; `rewriter.py` maps each keyword to its rewriter.
"""

from friendli_endpoint.chat.structured.json_schema.error_messages import (
    client_message,
    is_empty_range,
    locate_error,
)
from friendli_endpoint.chat.structured.json_schema.layout import LAYOUTS, JsonLayout
from friendli_endpoint.chat.structured.json_schema.non_integers import without_gaps
from friendli_endpoint.chat.structured.json_schema.pipeline import RewrittenSchema, rewrite_schema
from friendli_endpoint.chat.structured.json_schema.size import schema_text

__all__ = [
    "LAYOUTS",
    "JsonLayout",
    "RewrittenSchema",
    "client_message",
    "is_empty_range",
    "locate_error",
    "rewrite_schema",
    "schema_text",
    "without_gaps",
]
