"""From the bytes of a request to its wire type, or to an error that names the field."""

import re
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, from_json

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.strict_json import check_strictly, path_of

__all__ = ["EndpointBody", "parse_body"]

_RULE_BROKEN = {
    "union_tag_invalid": "unknown_value",
    "literal_error": "unknown_value",
    "finite_number": "out_of_range",
    "string_pattern_mismatch": "unknown_value",
    "string_too_long": "out_of_range",
    "string_too_short": "out_of_range",
}
"""Kinds of validation error that are a broken rule (400); the others are a wrong type (422)."""


MAX_VALUES = 1 << 18
"""Values that a body may have: 1.3 million empty lists, in 4 MB, stop all streams for a second."""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A string, ended or not: where it fails, it would be tried again from each quote in it."""


class EndpointBody(BaseModel):
    """A body that only this endpoint knows; unknown fields are refused.

    They are refused by `parse_body`, which names the first: pydantic would make an error of each,
    400,000 of them for a body of 4 MB.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": False})


Body = TypeVar("Body", bound=BaseModel)


def parse_body(body: bytes, kind: type[Body], max_messages: int | None = None) -> Body:
    """Validates a body strictly: no value is converted to another type.

    Args:
        body: JSON.
        kind: The type of the request; as large as a body is, few errors must come of it.
        max_messages: How many `messages` it may have; None does not bound them. They are counted
            first: 140,000 of them, in 4 MB, take half a second to validate.

    Raises:
        RequestError: 400 where it is no JSON or breaks a rule, 422 where a field is missing or has
        the
            wrong type.
    """
    _check_number(body)
    try:
        wire = from_json(body)
    except ValueError as error:
        raise RequestError(f"the body is no JSON: {error}", code="invalid_json") from None
    if max_messages is not None:
        _check_count(wire, max_messages)
    try:
        parsed = kind.model_validate(wire, strict=True)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        raise _refusal(errors, wire) from None
    if isinstance(parsed, EndpointBody) and parsed.model_extra:
        _refuse_unknown(next(iter(parsed.model_extra)))
    check_strictly(body, wire, parsed)
    return parsed


def _check_number(body: bytes) -> None:
    """Counts what begins or separates values, outside of strings."""
    if _num_values(body) > MAX_VALUES and _num_values(_STRING.sub(b"", body)) > MAX_VALUES:
        raise RequestError(
            f"the body may have at most {MAX_VALUES:,} values in all its lists and objects",
            code="out_of_range",
        )


def _num_values(body: bytes) -> int:
    return sum(map(body.count, (b",", b"[", b"{")))


def _check_count(wire: Any, max_messages: int) -> None:
    messages = wire.get("messages") if isinstance(wire, dict) else None
    if isinstance(messages, list) and len(messages) > max_messages:
        raise RequestError(
            f"there may be at most {max_messages} messages, not {len(messages)}",
            param="messages",
            code="out_of_range",
        )


def _refuse_unknown(name: str) -> NoReturn:
    raise RequestError(f"{name}: there is no such field", param=name, code="unknown_field")


def _refusal(errors: list[ErrorDetails], body: object) -> RequestError:
    """The error that lies deepest in the body: the branches of a union fail above it."""
    places = [_place(each["loc"], body, each["type"] == "missing") for each in errors]
    deepest = max(places, key=len)
    chosen = [each for each, place in zip(errors, places, strict=True) if place == deepest]
    kind = chosen[0]["type"]
    if kind == "float_type" and type(_value_at(deepest, body)) is int:
        kind = chosen[0]["type"] = "finite_number"  # it is beyond all floats
    param = path_of(deepest)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        field = _discriminator(chosen[0])
        param = ".".join(filter(None, (param, field)))
        if not isinstance(_value_at(deepest, body).get(field, ""), str):
            message = f"{param}: must be a valid string"
            return RequestError(message, param=param, status=422, code="wrong_type")
    what = " or ".join(dict.fromkeys(_reason(each) for each in chosen))
    message = f"{param or 'the body'}: {what}"
    if kind in _RULE_BROKEN:
        return RequestError(message, param=param or None, code=_RULE_BROKEN[kind])
    code = "missing_field" if kind in ("missing", "union_tag_not_found") else "wrong_type"
    return RequestError(message, param=param or None, status=422, code=code)


def _reason(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "union_tag_invalid":
            return f"must be one of {context['expected_tags']}, not {context['tag']!r}"
        case "missing" | "union_tag_not_found":
            return "this field is required"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "string_too_short":
            return "must not be empty"
        case "finite_number":
            return "must be a finite number"
        case "list_type":
            return "must be a valid array"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "must be an object"
    return error["msg"].replace("Input should be", "must be")


def _discriminator(error: ErrorDetails) -> str:
    """The wire name of the field that tells a union's branches apart, from `'NAME' | 'alias'`."""
    return str(error.get("ctx", {}).get("discriminator", "")).rpartition("| ")[2].strip("'")


def _value_at(place: Sequence[int | str], body: Any) -> Any:
    for step in place:
        body = body[step]
    return body


def _place(location: tuple[int | str, ...], body: object, missing: bool) -> tuple[int | str, ...]:
    """The steps of a location that are steps in the body; the others name branches of unions.

    Of a location that is `missing`, the last step is one that should be in the body.
    """
    place: list[int | str] = []
    for number, step in enumerate(location, 1):
        if isinstance(body, dict) and isinstance(step, str):
            if step not in body and not (missing and number == len(location)):
                continue
            place.append(step)
            body = body.get(step)
        elif isinstance(body, list) and isinstance(step, int) and step < len(body):
            place.append(step)
            body = body[step]
    return tuple(place)
