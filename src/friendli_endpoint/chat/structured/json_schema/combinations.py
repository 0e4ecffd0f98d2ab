"""Keywords that put other schemas in the same place: `$ref`, `allOf`, `anyOf`, `oneOf`."""

from itertools import islice
from typing import Any

from friendli_endpoint.chat.structured.json_schema.part import Part
from friendli_endpoint.chat.structured.json_schema.place import SchemaFault

__all__ = ["all_of", "any_of", "one_of", "reference"]

_MAX_OVERLAPPING_PAIRS = 30
_OVERLAP = (
    "it is not plain that no value satisfies two of its branches; give them a property "
    "with a different const each, or use anyOf"
)


def reference(part: Part) -> None:
    """Rewrites `$ref` into a pointer."""
    part.out["$ref"] = part.whole.reference_to(part.target_of(part.schema["$ref"]))


def all_of(part: Part) -> None:
    """Rewrites `allOf`."""
    branches = enumerate(part.schema["allOf"])
    part.also(*(part.rewritten(each, "allOf", index) for index, each in branches))


def any_of(part: Part) -> None:
    """Rewrites `anyOf`."""
    branches = enumerate(part.schema["anyOf"])
    part.either([part.rewritten(each, "anyOf", index) for index, each in branches])


def one_of(part: Part) -> None:
    """Rewrites `oneOf` into `anyOf`: what satisfies a branch, and none that overlaps with it."""
    place = part.at("oneOf")
    branches = part.schema["oneOf"]
    pairs = part.whole.comparison.overlapping_pairs(place, len(branches))
    found = list(islice(pairs, _MAX_OVERLAPPING_PAIRS + 1))
    if len(found) > _MAX_OVERLAPPING_PAIRS:
        raise SchemaFault(place, _OVERLAP)
    others: dict[int, list[int]] = {}
    for a, b in found:
        others.setdefault(a, []).append(b)
        others.setdefault(b, []).append(a)
    try:
        denials = {index: _denial(part, index) for index in sorted(others)}
    except SchemaFault as fault:
        raise SchemaFault(place, _OVERLAP) from fault
    either = []
    for index, each in enumerate(branches):
        fitted = part.rewritten(each, "oneOf", index)
        denied = [denials[other] for other in sorted(others.get(index, ()))]
        either.append({"allOf": [fitted, *denied]} if denied else fitted)
    part.either(either)


def _denial(part: Part, index: int) -> Any:
    """What no branch may satisfy that overlaps with the branch of this index."""
    place = part.at("oneOf", index)
    target = part.whole.document.followed(place)
    if target != place:
        return {"$ref": part.whole.reference_to_complement(target, exact=False)}
    return part.whole.complement(part.schema["oneOf"][index], place, exact=False)
