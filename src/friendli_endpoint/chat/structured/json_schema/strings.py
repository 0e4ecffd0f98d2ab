"""Keywords of strings: lengths, patterns and formats; a format may also be that of a number."""

from collections.abc import Callable

from friendli_endpoint.chat.structured.json_schema.formats import ANNOTATIONS, NUMBERS, STRINGS
from friendli_endpoint.chat.structured.json_schema.numbers import numeric_bounds
from friendli_endpoint.chat.structured.json_schema.part import Part
from friendli_endpoint.chat.structured.json_schema.place import Place, SchemaFault
from friendli_endpoint.chat.structured.regex import PatternError, loose_pattern, search_pattern

__all__ = ["fit_loosely", "fit_pattern", "formatted", "lengths", "pattern"]

_MOST_LENGTH = 100_000
_MOST_REQUIRED_LENGTH = 10_000


def lengths(part: Part) -> None:
    """Rewrites `minLength` and `maxLength`."""
    least, most = part.count("minLength", 0), part.count("maxLength", _MOST_LENGTH)
    if least > _MOST_REQUIRED_LENGTH:
        raise SchemaFault(part.at("minLength"), f"it must be at most {_MOST_REQUIRED_LENGTH:,}")
    if least:
        part.out["minLength"] = least
    if "maxLength" in part.schema:
        part.out["maxLength"] = min(most, _MOST_LENGTH)


def pattern(part: Part) -> None:
    """Rewrites `pattern`."""
    _ask(part, fit_pattern(part.schema["pattern"], part.at("pattern")))


def formatted(part: Part) -> None:
    """Rewrites `format` into a pattern, or into bounds of a number."""
    name = part.schema["format"]
    if "string" not in part.types:
        if {"number", "integer"} & set(part.types) and NUMBERS.get(name):
            part.also(numeric_bounds(NUMBERS[name], part.place))
        return
    if name in ANNOTATIONS:
        return
    if name not in STRINGS:
        raise SchemaFault(part.at("format"), f"there is no rule for format {name!r}")
    _ask(part, f"^(?:{STRINGS[name]})$")


def fit_pattern(text: str, place: Place) -> str:
    """A regular expression that is searched for, as the compiler takes it.

    Args:
        text: As the user has it.
        place: Where it is.

    Raises:
        SchemaFault: It cannot be enforced.
    """
    return _fitted(search_pattern, text, place)


def fit_loosely(text: str, place: Place) -> str:
    """The same, for all that it matches in any dialect.

    Raises:
        SchemaFault: It cannot be enforced.
    """
    return _fitted(loose_pattern, text, place)


def _fitted(fit: Callable[[str], str], text: str, place: Place) -> str:
    try:
        return f"^{fit(text)}$"
    except PatternError as error:
        raise SchemaFault(place, str(error)) from error


def _ask(part: Part, fitted: str) -> None:
    if "pattern" in part.out:
        kind = {"type": "string"} if part.types == ("string",) else {}
        part.also({**kind, "pattern": fitted})
    else:
        part.out["pattern"] = fitted
