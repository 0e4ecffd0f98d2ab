"""Schemas for all values except a list of constants."""

import math
from collections.abc import Callable
from typing import Any

from friendli_endpoint.chat.structured.json_schema.numbers import (
    exact_bounds,
    whole_bounds,
)
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, SchemaPath
from friendli_endpoint.chat.structured.regex import count_except, texts_except

__all__ = ["values_except"]

_MAX_CHARACTERS = 2_000
_MAX_NUMBERS = 50
_MAX_EXACT = 2**53


def values_except(
    values: list[Any],
    types: tuple[str, ...],
    path: SchemaPath,
    count: Callable[[int], None] = lambda _size: None,
) -> list[Any]:
    """Builds schemas that together hold for each value of some types that is not listed.

    Args:
        values: The list.
        types: The JSON types.
        path: Path of the list.
        count: Called with the number of characters and classes of a pattern before it is made;
            may raise.

    Raises:
        SchemaError: The list contains lists or objects, or is too long.
    """
    out: list[Any] = []
    if any(isinstance(value, list | dict) for value in values):
        raise SchemaError(path, "a grammar cannot exclude single lists or objects")
    out.extend({"type": kind} for kind in ("array", "object") if kind in types)
    if "null" in types and None not in values:
        out.append({"type": "null"})
    if "boolean" in types:
        out.extend({"const": truth} for truth in (False, True) if not _has(values, truth))
    if "string" in types:
        texts = [text for text in values if isinstance(text, str)]
        out.append(_other_strings(texts, path, count))
    if "number" in types or "integer" in types:
        kind = "number" if "number" in types else "integer"
        numbers = {
            value
            for value in values
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        gaps = _gaps(sorted(numbers), path)
        if kind == "integer":
            gaps = [gap for gap in map(whole_bounds, gaps) if _has_values(gap)]
        else:
            gaps = [*map(exact_bounds, gaps)]
        out.extend({"type": kind, **gap} for gap in gaps)
    return out


def _has_values(gap: dict[str, Any]) -> bool:
    return bool(gap.get("minimum", -math.inf) <= gap.get("maximum", math.inf))


def _has(values: list[Any], truth: bool) -> bool:
    return any(value is truth for value in values)


def _other_strings(texts: list[str], path: SchemaPath, count: Callable[[int], None]) -> Any:
    if sum(map(len, texts)) > _MAX_CHARACTERS:
        raise SchemaError(
            path, f"its strings have more than {_MAX_CHARACTERS:,} characters together"
        )
    if not texts:
        return {"type": "string"}
    count(count_except(texts))
    return {"type": "string", "pattern": f"^{texts_except(texts)}$"}


def _gaps(numbers: list[int | float], path: SchemaPath) -> list[dict[str, Any]]:
    if len(numbers) > _MAX_NUMBERS or any(not abs(number) < _MAX_EXACT for number in numbers):
        raise SchemaError(
            path, f"it contains numbers beyond 2^53, or more than {_MAX_NUMBERS} numbers"
        )
    below = [{}, *({"exclusiveMinimum": number} for number in numbers)]
    above = [*({"exclusiveMaximum": number} for number in numbers), {}]
    return [{**low, **high} for low, high in zip(below, above, strict=True)]
