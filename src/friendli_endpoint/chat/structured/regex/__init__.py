r"""Regular expressions: parsed as JavaScript, Python and Rust agree, and rendered for the compiler.

The dialects differ in what `\d`, `\w`, `\s` and `.` match, in where an anchor matches, and in how
they parse rare syntax. The rendered pattern does not depend on a dialect: classes are spelled out,
and there are no anchors, because the whole text has to match. A construct that the dialects parse
differently, or that an automaton cannot match, raises a `PatternError` that names it.
"""

from collections.abc import Sequence

from friendli_endpoint.chat.structured.regex.classes import ALL_DIALECTS, ANY_DIALECT, ASCII_ONLY
from friendli_endpoint.chat.structured.regex.lookahead import (
    automaton_of,
    excluded_expression,
    has_look,
    leading_looks,
    required_expression,
)
from friendli_endpoint.chat.structured.regex.nodes import Group, Look, PatternError, size_of
from friendli_endpoint.chat.structured.regex.parsing import Pattern, parse
from friendli_endpoint.chat.structured.regex.rendering import count_except, render, texts_except

_MAX_SIZE_ALONE = 200
_MAX_CHARACTERS_ALONE = 1_000
"""Up to these sizes, a pattern with look-ahead becomes one pattern, and otherwise an intersection.
The compiler gives up on the intersection of the three parts of zod's `email` with its format."""
_MAX_EXCLUDED = 1_000_000
"""Characters by which the exclusion of ambiguous characters lengthens patterns."""

__all__ = [
    "Pattern",
    "PatternError",
    "count_except",
    "loose_pattern",
    "parse_pattern",
    "patterns_except",
    "search_pattern",
    "search_patterns",
    "texts_except",
    "unambiguous_patterns",
    "whole_patterns",
]


def whole_patterns(pattern: str) -> list[str]:
    r"""Rewrites a pattern that must match the whole text; `\d`, `\w` and `\s` are ASCII only.

    Returns:
        Patterns all of which must match the whole text: the pattern and its look-aheads.

    Raises:
        PatternError: The pattern is invalid or cannot be enforced.
    """
    return _rendered(parse(pattern, ASCII_ONLY).root, "closed")


def search_patterns(pattern: str) -> list[str]:
    """Rewrites the `pattern` of a JSON schema, which may match anywhere in the text.

    If the dialects disagree about a class, the result matches only what all of them match.

    Returns:
        Patterns all of which must match the whole text: the pattern and its look-aheads.

    Raises:
        PatternError: The pattern is invalid or cannot be enforced.
    """
    return _rendered(parse_pattern(pattern).root, "open")


def patterns_except(pattern: str) -> list[str]:
    """Rewrites the `pattern` of a JSON schema into patterns of the texts that it does not match.

    If the dialects disagree about a class, the result matches only what none of them matches.

    Returns:
        Patterns all of which must match the whole text.

    Raises:
        PatternError: The pattern is invalid, or its complement cannot be enforced.
    """
    parse_pattern(pattern)
    out: list[str] = []
    for option in _options(pattern):
        is_anchored = option.startswith("^")
        found = option[1:] if is_anchored else rf"[\s\S]*(?:{option})"
        out += search_patterns(f"^(?!{found})")
    return out


def search_pattern(pattern: str) -> str:
    """Rewrites the `pattern` of a JSON schema into one that must match the whole text.

    Raises:
        PatternError: The pattern is invalid or cannot be enforced.
    """
    return _rendered_alone(parse_pattern(pattern).root, "open")


def loose_pattern(pattern: str) -> str:
    """Rewrites the `pattern` of a JSON schema so that it matches what any dialect matches.

    Raises:
        PatternError: The pattern is invalid or cannot be enforced.
    """
    return _rendered_alone(parse(pattern, ANY_DIALECT).root, "open")


def parse_pattern(pattern: str) -> Pattern:
    """Parses the `pattern` of a JSON schema.

    Raises:
        PatternError: The pattern is invalid or cannot be enforced.
    """
    return parse(pattern, ALL_DIALECTS)


def unambiguous_patterns(patterns: Sequence[Pattern]) -> tuple[list[str], str | None]:
    """Restricts patterns to texts for which the dialects agree about every one of them.

    Args:
        patterns: Patterns that may match anywhere in the text.

    Returns:
        A rewritten pattern for each, and one for the texts about which the dialects may disagree;
        None if there are no such texts. No text matches both the latter and one of the former.

    Raises:
        PatternError: A pattern cannot be enforced.
    """
    ambiguous = "".join(sorted(set().union(*(pattern.ambiguous for pattern in patterns))))
    if len(ambiguous) * sum(size_of(pattern.root) for pattern in patterns) > _MAX_EXCLUDED:
        raise PatternError("it is too long beside a Unicode property")
    rendered = [render(pattern.root, "open", "open", ambiguous) for pattern in patterns]
    return rendered, rf"(?s:.*)[{ambiguous}](?s:.*)" if ambiguous else None


def _options(pattern: str) -> list[str]:
    """Splits a valid pattern into its alternatives."""
    options, depth, in_class, escaped = [""], 0, False, False
    for character in pattern:
        if not escaped and not in_class:
            depth += {"(": 1, ")": -1}.get(character, 0)
            if character == "|" and not depth:
                options.append("")
                continue
        if not escaped and character in "[]":
            in_class = character == "["
        escaped = character == "\\" and not escaped
        options[-1] += character
    return options


def _rendered(root: Group, context: str) -> list[str]:
    leading = leading_looks(root, closed=context == "closed") if has_look(root) else None
    if leading is None:
        return [_rendered_alone(root, context)]
    looks, rest = leading
    if size_of(root) <= _MAX_SIZE_ALONE:
        try:
            alone = _rendered_alone(root, context)
        except PatternError:
            alone = ""
        if 0 < len(alone) <= _MAX_CHARACTERS_ALONE:
            return [alone]
    return [render(rest, "closed", context), *map(_rendered_look, looks)]


def _rendered_look(look: Look) -> str:
    if look.negative:
        return excluded_expression(look.node)
    counted = render(look.node, "closed", "open")
    try:
        expression = required_expression(look.node)
    except PatternError:  # Its automaton is too large; the compiler may still follow it.
        return counted
    return expression if len(expression) <= 2 * len(counted) else counted


def _rendered_alone(root: Group, context: str) -> str:
    if has_look(root):
        return automaton_of(root, context, context).expression()
    return render(root, context, context)
