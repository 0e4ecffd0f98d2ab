r"""Regular expressions: read as JavaScript, Python and Rust all read them, and written anew.

The dialects differ in what `\d`, `\w`, `\s` and `.` hold, in where an anchor holds, and in how
they read rare spellings. What is written out here leaves nothing to a dialect: classes are
spelled out and anchors are gone, because the whole text has to match. A construct that the
dialects read differently, or that no automaton can follow, is a `PatternError` that names it.
"""

from collections.abc import Sequence

from friendli_endpoint.chat.structured.regex.classes import ASCII_ONLY, EVERY_DIALECT, SOME_DIALECT
from friendli_endpoint.chat.structured.regex.nodes import PatternError
from friendli_endpoint.chat.structured.regex.reading import Pattern, read
from friendli_endpoint.chat.structured.regex.writing import other_texts, written

__all__ = [
    "Pattern",
    "PatternError",
    "loose_pattern",
    "other_texts",
    "read_pattern",
    "search_pattern",
    "telling_patterns",
    "whole_pattern",
]


def whole_pattern(pattern: str) -> str:
    r"""A pattern for a whole text, in which `\d`, `\w` and `\s` are those of ASCII.

    Raises:
        PatternError: It cannot be enforced.
    """
    return written(read(pattern, ASCII_ONLY).root, "closed", "closed")


def search_pattern(pattern: str) -> str:
    """A pattern for texts in which a JSON schema's `pattern` is found somewhere.

    Where the dialects differ on what a class holds, it matches what all of them match.

    Raises:
        PatternError: It cannot be enforced.
    """
    return written(read_pattern(pattern).root, "open", "open")


def loose_pattern(pattern: str) -> str:
    """The same for texts in which it is found by some dialect.

    Raises:
        PatternError: It cannot be enforced.
    """
    return written(read(pattern, SOME_DIALECT).root, "open", "open")


def read_pattern(pattern: str) -> Pattern:
    """The `pattern` of a JSON schema.

    Raises:
        PatternError: It cannot be enforced.
    """
    return read(pattern, EVERY_DIALECT)


def telling_patterns(patterns: Sequence[Pattern]) -> tuple[list[str], str | None]:
    """Patterns for texts about which the dialects agree whether each of the patterns is found.

    Args:
        patterns: What is searched for.

    Returns:
        A pattern for each, and one for the texts about which they may not agree; None where they
        agree about all. No text that matches the latter matches one of the others.

    Raises:
        PatternError: One cannot be enforced.
    """
    ambiguous = "".join(sorted(set().union(*(each.ambiguous for each in patterns))))
    telling = [written(each.root, "open", "open", ambiguous) for each in patterns]
    return telling, rf"(?s:.*)[{ambiguous}](?s:.*)" if ambiguous else None
