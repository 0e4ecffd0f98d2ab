"""All values but some, as schemas."""

from typing import Any

from friendli_endpoint.chat.structured.json_schema.place import Place, SchemaFault
from friendli_endpoint.chat.structured.regex import other_texts

__all__ = ["other_values"]

_MOST_CHARACTERS = 2_000
_MOST_NUMBERS = 50
_EXACT = 2**53


def other_values(values: list[Any], types: tuple[str, ...], place: Place) -> list[Any]:
    """Schemas, one of which holds for each value of some types that is not listed.

    Args:
        values: The list.
        types: The JSON types.
        place: Where the list is.

    Raises:
        SchemaFault: The list has arrays or objects in it, or is too long.
    """
    out: list[Any] = []
    if any(isinstance(each, list | dict) for each in values):
        raise SchemaFault(place, "a grammar has no words for all lists or objects but one")
    out.extend({"type": each} for each in ("array", "object") if each in types)
    if "null" in types and None not in values:
        out.append({"type": "null"})
    if "boolean" in types:
        out.extend({"const": each} for each in (False, True) if not _has(values, each))
    if "string" in types:
        out.append(_other_strings([each for each in values if isinstance(each, str)], place))
    if "number" in types or "integer" in types:
        kind = "number" if "number" in types else "integer"
        numbers = {
            each for each in values if isinstance(each, int | float) and not isinstance(each, bool)
        }
        out.extend({"type": kind, **each} for each in _gaps(sorted(numbers), place))
    return out


def _has(values: list[Any], truth: bool) -> bool:
    return any(each is truth for each in values)


def _other_strings(texts: list[str], place: Place) -> Any:
    if sum(map(len, texts)) > _MOST_CHARACTERS:
        raise SchemaFault(place, f"it holds more than {_MOST_CHARACTERS:,} characters")
    return {"type": "string", "pattern": f"^{other_texts(texts)}$"} if texts else {"type": "string"}


def _gaps(numbers: list[int | float], place: Place) -> list[dict[str, Any]]:
    if len(numbers) > _MOST_NUMBERS or any(not abs(each) < _EXACT for each in numbers):
        raise SchemaFault(place, f"it holds numbers beyond 2^53, or more than {_MOST_NUMBERS}")
    below = [{}, *({"exclusiveMinimum": each} for each in numbers)]
    above = [*({"exclusiveMaximum": each} for each in numbers), {}]
    return [{**low, **high} for low, high in zip(below, above, strict=True)]
