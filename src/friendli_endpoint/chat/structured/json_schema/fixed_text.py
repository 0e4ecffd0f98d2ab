"""Limit on the length of a text that a schema leaves no choice about.

Where only one text is possible, the compiler tokenizes it up to its end at once. That text may be
far longer than the schema: an array of 1,000 equal constants is described by one of them.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from friendli_endpoint.chat.structured.json_schema.keywords import types_of
from friendli_endpoint.chat.structured.json_schema.paths import SchemaError, definition_name

__all__ = ["check_fixed_text", "max_fixed_length"]

_MAX_FIXED = 8 * 1024
"""Bytes without a choice. The compiler takes 0.7 µs for each whenever it is asked about the next
token, and 450 bytes of memory from then on."""
_SHORT = 20
"""Bytes of a short scalar, such as `false`, that follow from its first ones."""
_ROOT = "#"
_COMBINING = frozenset({"$ref", "anyOf"})
_ARRAYS = frozenset({"items", "maxItems", "minItems", "prefixItems"})
_OBJECTS = frozenset({"additionalProperties", "patternProperties", "properties", "required"})
_ESCAPED = re.compile(r"\\(x\{[0-9a-f]+\}|.)", re.DOTALL)
_CHOICE = re.compile(r"[\[|.*+]|\{(\d+),(?!\1\})")
_COUNT = re.compile(r"\{(\d+),\1\}")


def check_fixed_text(root: Any, definitions: dict[str, Any]) -> None:
    """Checks the length of the longest text that a schema leaves no choice about.

    Args:
        root: The rewritten schema.
        definitions: Rewritten targets of its references, by name.

    Raises:
        SchemaError: At the root: the text is too long.
    """
    if max_fixed_length(root, definitions) > _MAX_FIXED:
        raise SchemaError((), f"it prescribes a text of more than {_MAX_FIXED:,} bytes")


def max_fixed_length(root: Any, definitions: dict[str, Any]) -> int:
    """Returns an estimate of the longest text without a choice, in bytes; it is never too low."""
    texts = _FixedTexts(root, definitions)
    return max(texts.of(schema).length for schema in (root, *definitions.values()))


@dataclass(frozen=True, slots=True)
class _Fixed:
    """Estimate of the text that a schema prescribes; never too low.

    Attributes:
        length: Bytes of the longest part without a choice.
        is_whole: Whether this may be the whole value, so that the text before and after it
            continues it.
        item_length: Bytes of an item of an array, if all items are equal, and else 0.
        min_items: Minimum number of items of an array.
    """

    length: int = 0
    is_whole: bool = False
    item_length: int = 0
    min_items: int = 0


class _FixedTexts:
    def __init__(self, root: Any, definitions: dict[str, Any]) -> None:
        self._definitions = {_ROOT: root, **definitions}
        self._known: dict[tuple[str, frozenset[str]], _Fixed] = {}

    def of(self, schema: Any, around: frozenset[str] = frozenset()) -> _Fixed:
        """Returns the estimate for a schema.

        Args:
            schema: The rewritten schema.
            around: Names of properties that other schemas, which must hold too, may require.
        """
        if not isinstance(schema, dict):
            return _Fixed(_SHORT)
        if "allOf" in schema or (len(schema) > 1 and not schema.keys().isdisjoint(_COMBINING)):
            around |= self._may_require(schema)
        parts = [self._own(schema, around)]
        parts += [self.of(branch, around) for branch in schema.get("allOf", ())]
        if "$ref" in schema:
            parts.append(self._target(definition_name(schema["$ref"]), around))
        if "anyOf" in schema:
            branches = [self.of(branch, around) for branch in schema["anyOf"]]
            parts.append(
                _Fixed(
                    max((branch.length for branch in branches), default=0),
                    False,
                    max((branch.item_length for branch in branches), default=0),
                    max((branch.min_items for branch in branches), default=0),
                )
            )
        item_length = max(part.item_length for part in parts)
        min_items = max(part.min_items for part in parts)
        excess = sum(max(0, part.length - _SHORT) for part in parts)
        length = max(_SHORT + excess, item_length * min_items)
        return _Fixed(length, any(part.is_whole for part in parts), item_length, min_items)

    def _target(self, name: str, around: frozenset[str]) -> _Fixed:
        key = name, around
        if key not in self._known:
            self._known[key] = _Fixed()  # For recursive references.
            self._known[key] = self.of(self._definitions.get(name), around)
        return self._known[key]

    def _may_require(self, schema: dict[str, Any]) -> frozenset[str]:
        """Returns the names that a schema, or one that it combines, requires."""
        names: set[str] = set()
        pending: list[Any] = [schema]
        followed: set[str] = set()
        while pending:
            part = pending.pop()
            if not isinstance(part, dict):
                continue
            names.update(part.get("required", ()))
            pending += [*part.get("allOf", ()), *part.get("anyOf", ())]
            if "$ref" in part and part["$ref"] not in followed:
                followed.add(part["$ref"])
                pending.append(self._definitions.get(definition_name(part["$ref"])))
        return frozenset(names)

    def _own(self, schema: dict[str, Any], around: frozenset[str]) -> _Fixed:
        """Returns the estimate for a schema without `$ref`, `allOf` and `anyOf`."""
        if "const" in schema:
            return _Fixed(_length(schema["const"]), True)
        if "enum" in schema:
            max_length = max(map(_length, schema["enum"]), default=0)
            return _Fixed(max_length, len(schema["enum"]) == 1)
        types = types_of(schema)
        has_items = "array" in types and not _ARRAYS.isdisjoint(schema)
        array = self._of_array(schema) if has_items else _Fixed()
        parts = [_of_scalar(schema, types), array]
        if "object" in types and not _OBJECTS.isdisjoint(schema):
            parts.append(self._of_object(schema, around))
        return _Fixed(
            max(part.length for part in parts),
            len(types) == 1 and any(part.is_whole for part in parts),
            array.item_length,
            array.min_items,
        )

    def _of_object(self, schema: dict[str, Any], around: frozenset[str]) -> _Fixed:
        named = schema.get("properties", {})
        required = {*schema.get("required", ()), *(around & named.keys())}
        values = {name: self.of(inner) for name, inner in named.items()}
        whole = [
            part
            for name in {**named, **dict.fromkeys(required)}
            if name in required
            for part in (_Fixed(_length(name) + 4, True), values.get(name, _Fixed(_SHORT)))
        ]
        optional = [self.of(inner).length for inner in schema.get("patternProperties", {}).values()]
        optional.append(self.of(schema.get("additionalProperties")).length)
        optional += [
            _length(name) + 4 + fixed.length
            for name, fixed in values.items()
            if name not in required
        ]
        together = _joined(whole)
        is_closed = schema.get("additionalProperties") is False and not named
        return _Fixed(
            2 + together.length + max(optional), together.is_whole and (bool(whole) or is_closed)
        )

    def _of_array(self, schema: dict[str, Any]) -> _Fixed:
        if schema.get("maxItems") == 0:
            return _Fixed(2, True)
        parts = [self.of(item) for item in schema.get("prefixItems", ())]
        item, min_items = self.of(schema.get("items")), schema.get("minItems", 0)
        if item.is_whole:
            count = max(1, min_items - len(parts))
            parts.append(_Fixed((item.length + 2) * count, True))
        else:
            parts += [item, item]
        together = _joined(parts)
        item_length = item.length + 2 if item.is_whole else 0
        return _Fixed(2 + together.length, together.is_whole, item_length, min_items)


def _joined(parts: Iterable[_Fixed]) -> _Fixed:
    """Returns the text of values that follow each other."""
    max_length = current = 0
    is_whole = True
    for part in parts:
        max_length = max(max_length, current + part.length)
        current = current + part.length if part.is_whole else part.length
        is_whole = is_whole and part.is_whole
    return _Fixed(max(max_length, current), is_whole)


def _of_scalar(schema: dict[str, Any], types: tuple[str, ...]) -> _Fixed:
    if types == ("null",):
        return _Fixed(len("null"), True)
    if "string" in types and "pattern" in schema:
        return _of_pattern(schema["pattern"])
    if types == ("string",):
        return _Fixed(_SHORT, schema.get("maxLength") == 0)
    if types == ("integer",):
        low = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf) + 1)
        high = schema.get("maximum", schema.get("exclusiveMaximum", math.inf) - 1)
        return _Fixed(_SHORT, low >= high)
    return _Fixed(_SHORT)


def _of_pattern(pattern: str) -> _Fixed:
    """Returns the text that a pattern prescribes; the pattern itself has been checked."""
    literal = _ESCAPED.sub("x", pattern)
    if _CHOICE.search(literal):
        return _Fixed()
    length = len(pattern.encode())
    for count in _COUNT.findall(literal):
        length *= max(1, int(count))
    return _Fixed(min(length, _MAX_FIXED), True)


def _length(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
