"""Keywords that say of properties by their names what they are: patterns, and all the others."""

from typing import Any

from friendli_endpoint.chat.structured.json_schema.checking import check_enforced, check_values
from friendli_endpoint.chat.structured.json_schema.formats import STRINGS
from friendli_endpoint.chat.structured.json_schema.keywords import ASSERTIONS, types_of
from friendli_endpoint.chat.structured.json_schema.literals import check_text
from friendli_endpoint.chat.structured.json_schema.objects import check_count
from friendli_endpoint.chat.structured.json_schema.part import Part
from friendli_endpoint.chat.structured.json_schema.place import SchemaFault
from friendli_endpoint.chat.structured.json_schema.strings import fit_loosely, fit_pattern
from friendli_endpoint.chat.structured.regex import read_pattern, telling_patterns

__all__ = ["names"]

_MOST_PATTERNS = 100
_NAMED = frozenset({"properties", "patternProperties", "required"})


def names(part: Part) -> None:
    """Rewrites `patternProperties`, `additionalProperties` and `propertyNames`."""
    if "patternProperties" in part.schema:
        part.out["patternProperties"] = _by_pattern(part)
    if "propertyNames" in part.schema:
        _by_any_name(part)
    elif "additionalProperties" in part.schema:
        rest = part.schema["additionalProperties"]
        part.out["additionalProperties"] = part.rewritten(rest, "additionalProperties")


def _by_pattern(part: Part) -> dict[str, Any]:
    patterns = part.schema["patternProperties"]
    if len(patterns) > _MOST_PATTERNS:
        raise SchemaFault(
            part.at("patternProperties"), f"it has more than {_MOST_PATTERNS} patterns"
        )
    written, doubtful = _name_patterns(part)
    fitted: dict[str, Any] = {doubtful: False} if doubtful else {}
    for pattern, (text, each) in zip(written, patterns.items(), strict=True):
        if pattern in fitted:
            raise SchemaFault(part.at("patternProperties", text), "another pattern means the same")
        fitted[pattern] = part.rewritten(each, "patternProperties", text)
    return fitted


def _name_patterns(part: Part) -> tuple[list[str], str | None]:
    """The patterns for the compiler, and one for names that there must not be.

    A name that a pattern matches in some dialects only belongs to the pattern and to the others.
    Where these may be anything, it goes with the pattern; where there are none, it goes; elsewhere
    there must not be such a name.
    """
    named = part.schema.get("properties", ())
    others = part.schema.get("additionalProperties", part.schema.get("unevaluatedProperties", True))
    patterns = part.schema["patternProperties"]
    strict = [fit_pattern(each, part.at("patternProperties", each)) for each in patterns]
    if others is False and all(each.isascii() and each.isprintable() for each in named):
        return strict, None
    if others in (True, {}):
        return [fit_loosely(each, part.at("patternProperties", each)) for each in patterns], None
    telling, doubtful = telling_patterns([read_pattern(each) for each in patterns])
    return [f"^{each}$" for each in telling], f"^{doubtful}$" if doubtful else None


def _by_any_name(part: Part) -> None:
    """`propertyNames`, where it can be said with patterns or by naming the properties."""
    asked, place = part.schema["propertyNames"], part.at("propertyNames")
    allowed = asked if isinstance(asked, dict) else {}
    check_values(allowed, place, part.whole.document.draft)
    check_enforced(allowed, place)
    rest = part.rewritten(part.schema.get("additionalProperties", True), "additionalProperties")
    keywords = allowed.keys() & ASSERTIONS - {"type"}
    strings = "string" in types_of(allowed)
    if asked is not False and strings and not keywords:
        part.out["additionalProperties"] = rest
        return
    if _NAMED & part.schema.keys() or not strings:
        raise SchemaFault(place, "it is enforced only for strings, without named properties")
    part.out["additionalProperties"] = False
    if keywords in ({"enum"}, {"const"}):
        listed = allowed["enum"] if "enum" in allowed else [allowed["const"]]
        check_count(listed, place)
        for name in listed:
            check_text(name, place)
        part.out["properties"] = {name: rest for name in listed if isinstance(name, str)}
    elif keywords:
        part.out["patternProperties"] = {_name_pattern(part, keywords): rest}


def _name_pattern(part: Part, keywords: set[str]) -> str:
    """A pattern that says the same of names as a schema of strings."""
    allowed = part.schema["propertyNames"]
    if keywords == {"pattern"}:
        return fit_pattern(allowed["pattern"], part.at("propertyNames", "pattern"))
    if keywords <= {"minLength", "maxLength"}:
        most = int(allowed["maxLength"]) if "maxLength" in allowed else ""
        return f"^(?s:.{{{int(allowed.get('minLength', 0))},{most}}})$"
    if keywords == {"format"} and allowed["format"] in STRINGS:
        return f"^(?:{STRINGS[allowed['format']]})$"
    raise SchemaFault(
        part.at("propertyNames"), "it is enforced for a single keyword, not for these together"
    )
