"""Keywords that put other schemas in the same place: `$ref`, `allOf`, `anyOf`, `oneOf`."""

from friendli_endpoint.chat.schema.disjoint import disjoint
from friendli_endpoint.chat.schema.part import Part
from friendli_endpoint.chat.schema.place import SchemaFault

__all__ = ["all_of", "any_of", "one_of", "reference"]


def reference(part: Part) -> None:
    """Rewrites `$ref` into a pointer."""
    name = part.schema["$ref"]
    target = part.whole.document.resolve(name, part.place)
    if target is None:
        raise SchemaFault(
            part.at("$ref"),
            f"there is nothing by the name {name!r} in the schema; no other is fetched",
        )
    part.out["$ref"] = part.whole.reference_to(target)


def all_of(part: Part) -> None:
    """Rewrites `allOf`."""
    branches = enumerate(part.schema["allOf"])
    part.also(*(part.rewritten(each, "allOf", index) for index, each in branches))


def any_of(part: Part) -> None:
    """Rewrites `anyOf`."""
    branches = enumerate(part.schema["anyOf"])
    part.either([part.rewritten(each, "anyOf", index) for index, each in branches])


def one_of(part: Part) -> None:
    """Rewrites `oneOf` into `anyOf`, which means the same where its branches are disjoint."""
    branches = part.schema["oneOf"]
    if not disjoint(part.whole.document, part.at("oneOf"), len(branches)):
        raise SchemaFault(
            part.at("oneOf"),
            "it is not plain that no value satisfies two of its branches; give them a property "
            "with a different const each, or use anyOf",
        )
    part.either([part.rewritten(each, "oneOf", index) for index, each in enumerate(branches)])
