"""The filter `tojson`, as Hugging Face's `apply_chat_template` defines it: without HTML escapes."""

import json
from typing import Any

from friendli_endpoint.chat.prompt.sandbox.meter import (
    MAX_CHARACTERS,
    SandboxError,
    charged,
    current,
)
from friendli_endpoint.chat.prompt.sandbox.values import measure, measures_of

__all__ = ["json_text"]

_ESCAPED_BYTES = 24
"""Maximum memory of one character: six ASCII characters, in a string with four bytes for each."""


def json_text(
    value: Any,
    indent: int | str | None = None,
    ensure_ascii: bool = False,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Returns a value as JSON.

    Args:
        value: Plain values.
        indent: Number of spaces, or text, of one level; None writes a single line.
        ensure_ascii: Whether characters beyond ASCII are escaped.
        separators: Between items, and between a key and its value.
        sort_keys: Whether objects are sorted by their keys.

    Raises:
        SandboxError: The JSON could exceed a limit.
    """
    size, depth, count = measures_of(value)
    width = 0 if indent is None else len(indent) if isinstance(indent, str) else max(indent, 0)
    if indent is not None and (count + 1) * depth > MAX_CHARACTERS:
        raise SandboxError("the chat template indents JSON that is too large and too deep")
    per_item = (width + 1) * depth + (measure(separators) if separators else 0)
    current().require(_ESCAPED_BYTES * size + 2 * (count + 1) * per_item)
    text = json.dumps(
        value,
        indent=indent,
        ensure_ascii=ensure_ascii,
        separators=separators,
        sort_keys=sort_keys,
    )
    return charged(text)  # type: ignore[no-any-return]
