"""The fields that a body may have, at every depth: those with an effect, those known to have none.

The tree is made from the wire types, so a field added to them is known without further work. It is
walked before the validation, because null counts as absent: also in a required field, which is then
missing, and in a field that nobody knows. Values whose keys are the caller's own (JSON schemas,
`chat_template_kwargs`) are data: the walk does not enter them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.fields_without_effect import ANY, Values, fields_without_effect
from friendli_endpoint.http.strict_json import JsonPath, path_of

__all__ = ["keep_known_fields", "types_of"]

_UNIONS = (Union, UnionType)


@dataclass(frozen=True, slots=True)
class _Object:
    """An object of a body.

    Attributes:
        type: Its wire type.
        fields: By wire name, what a field may contain; None where there is nothing to walk.
        without_effect: By name, the values without effect.
    """

    type: type[BaseModel]
    fields: Mapping[str, "_Contents | None"]
    without_effect: Mapping[str, Values]


@dataclass(frozen=True, slots=True)
class _Contents:
    """The objects and lists that a value may be.

    Attributes:
        tag: Wire name of the field that selects one of several objects; None if there is one.
        objects: The objects by the value of their tag; by None if there is no tag.
        items: What the items of a list contain; None if there is nothing to walk.
    """

    tag: str | None = None
    objects: Mapping[str | None, _Object] | None = None
    items: "_Contents | None" = None


def keep_known_fields(wire: Any, kind: type[BaseModel]) -> None:
    """Removes the fields of a body that are null or without effect; rejects unknown fields.

    Args:
        wire: Decoded JSON that has not been validated; changed in place. Values of the wrong type
            are left to the validation.
        kind: Type of the body.

    Raises:
        RequestError: 400 for the first field that is unknown or whose value is not supported, 422
            for an object without the field that tells its type.
    """
    _walk(wire, _tree(kind), ())


def types_of(kind: type[BaseModel]) -> Iterator[tuple[type[BaseModel], Mapping[str, Values]]]:
    """Yields the wire type of every object in a body, with its fields without effect.

    A type that is in several places is yielded for each of them.
    """
    contents: list[_Contents] = [_tree(kind)]
    while contents:
        found = contents.pop()
        contents += [found.items] if found.items is not None else []
        for described in (found.objects or {}).values():
            yield described.type, described.without_effect
            contents += [inner for inner in described.fields.values() if inner is not None]


# ── walk ─────────────────────────────────────────────────────────────────────────────────────


def _walk(value: Any, contents: _Contents, path: JsonPath) -> None:
    if type(value) is dict:
        kind = _object_of(value, contents, path)
        if kind is not None:
            _walk_object(value, kind, path)
    elif type(value) is list and contents.items is not None:
        for index, item in enumerate(value):
            _walk(item, contents.items, (*path, index))


def _walk_object(wire: dict[str, Any], kind: _Object, path: JsonPath) -> None:
    removed: list[str] = []
    fields = kind.fields
    for name, value in wire.items():
        if value is None:
            removed.append(name)
        elif name in fields:
            contents = fields[name]
            if contents is not None and (type(value) is dict or type(value) is list):
                _walk(value, contents, (*path, name))
        elif name in kind.without_effect:
            _check_value(value, kind.without_effect[name], (*path, name))
            removed.append(name)
        else:
            param = path_of((*path, name))
            raise RequestError(f"{param}: unknown field", param=param, code="unknown_field")
    for name in removed:
        del wire[name]


def _object_of(wire: dict[str, Any], contents: _Contents, path: JsonPath) -> _Object | None:
    if contents.objects is None:
        return None
    if contents.tag is None:
        return contents.objects[None]
    tag = wire.get(contents.tag)
    if tag is None:  # the types have defaults for it, which are for programs
        _reject_missing((*path, contents.tag))
    return contents.objects.get(tag) if isinstance(tag, str) else None


def _check_value(value: object, allowed: Values, path: JsonPath) -> None:
    if allowed is not ANY and not any(
        type(value) is type(default) and value == default for default in allowed
    ):
        param = path_of(path)
        listed = " or ".join(map(json.dumps, allowed))
        raise RequestError(
            f"{param}: only {listed} is supported", param=param, code="not_supported"
        )


def _reject_missing(path: JsonPath) -> NoReturn:
    param = path_of(path)
    message = f"{param}: this field is required"
    raise RequestError(message, param=param, status=422, code="missing_field")


# ── tree ─────────────────────────────────────────────────────────────────────────────────────

_Spellings = frozenset[str]
"""The paths by which the table of fields without effect may name an object."""


@cache
def _tree(kind: type[BaseModel]) -> _Contents:
    table: dict[str, dict[str, Values]] = {}
    for row in fields_without_effect(kind):
        table.setdefault(row.path, {}).update(row.fields)
    return _Contents(objects={None: _object(kind, frozenset({""}), table)})


def _object(
    kind: type[BaseModel], spellings: _Spellings, table: Mapping[str, Mapping[str, Values]]
) -> _Object:
    fields = {}
    for name, field in kind.model_fields.items():
        wire_name = field.alias or name
        inner = frozenset(f"{path}.{wire_name}" if path else wire_name for path in spellings)
        fields[wire_name] = _contents(field.annotation, inner, table)
    without_effect: dict[str, Values] = {}
    for path in spellings:
        without_effect.update(table.get(path, {}))
    return _Object(kind, fields, without_effect)


def _contents(
    annotation: Any, spellings: _Spellings, table: Mapping[str, Mapping[str, Values]]
) -> _Contents | None:
    """Returns what a field of a type may contain; None if that is data, or no list or object."""
    tag: str | None = None
    objects: dict[str | None, _Object] = {}
    items: _Contents | None = None
    for branch, discriminator in _branches(annotation, None):
        if get_origin(branch) is list:
            items = _contents(get_args(branch)[0], _of_items(spellings), table)
        elif isinstance(branch, type) and issubclass(branch, BaseModel):
            value = None
            if discriminator is not None:
                field = branch.model_fields[discriminator]
                tag, value = field.alias or discriminator, get_args(field.annotation)[0]
            objects[value] = _object(branch, _of_tag(spellings, value), table)
    return _Contents(tag, objects or None, items) if objects or items is not None else None


def _branches(annotation: Any, discriminator: str | None) -> Iterator[tuple[Any, str | None]]:
    """Yields the types of a union, each with the discriminator that tells it from the others."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        for extra in arguments[1:]:
            if isinstance(extra, FieldInfo) and isinstance(extra.discriminator, str):
                discriminator = extra.discriminator
        yield from _branches(arguments[0], discriminator)
    elif origin in _UNIONS:
        for argument in arguments:
            yield from _branches(argument, discriminator)
    else:
        yield annotation, discriminator


def _of_items(spellings: _Spellings) -> _Spellings:
    return frozenset(f"{path}[]" for path in spellings)


def _of_tag(spellings: _Spellings, tag: str | None) -> _Spellings:
    """Adds the paths that name the tag of an item instead of any item."""
    if tag is None:
        return spellings
    return spellings | {f"{path[:-2]}[{tag}]" for path in spellings if path.endswith("[]")}
