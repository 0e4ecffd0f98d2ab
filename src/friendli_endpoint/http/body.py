"""Parses the bytes of a request body into its wire type, or an error that names the field."""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, from_json

from friendli_endpoint.generation import RequestError
from friendli_endpoint.http.known_fields import keep_known_fields
from friendli_endpoint.http.strict_json import check_finite, path_of

__all__ = ["EndpointBody", "parse_body"]

_VALUE_ERRORS = {
    "union_tag_invalid": "unknown_value",
    "literal_error": "unknown_value",
    "finite_number": "out_of_range",
    "string_pattern_mismatch": "unknown_value",
    "string_too_long": "out_of_range",
    "string_too_short": "out_of_range",
}
"""Validation errors of a value (400), with their `code`; all others are of a type (422)."""


MAX_VALUES = 1 << 18
"""Maximum number of values in a body: 1.3 million empty lists, 4 MB, stop all streams for 1 s."""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A JSON string, terminated or not: a failed match would be retried from each quote in it."""


class EndpointBody(BaseModel):
    """Base class of bodies that only this endpoint has.

    `parse_body` rejects the first unknown field of any body: pydantic would create one error per
    field, 400,000 for a body of 4 MB.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": False})


Body = TypeVar("Body", bound=BaseModel)


def parse_body(body: bytes, kind: type[Body], max_messages: int | None = None) -> Body:
    """Validates a body strictly: no value is converted to another type, no field is ignored.

    In the result, null fields and fields without effect are absent.

    Args:
        body: JSON in UTF-8.
        kind: Type of the body; it must yield few errors however large the body is.
        max_messages: Maximum number of `messages`; None for no limit. They are counted before the
            validation: 140,000 messages, in 4 MB, take half a second to validate.

    Raises:
        RequestError: 400 if the body is not valid JSON or a value is not allowed, 422 if a field is
            missing or has the wrong type.
    """
    _check_num_values(body)
    try:
        wire = from_json(body)
    except ValueError as error:
        raise RequestError(f"the body is not valid JSON: {error}", code="invalid_json") from None
    if max_messages is not None:
        _check_num_messages(wire, max_messages)
    check_finite(body, wire)
    keep_known_fields(wire, kind)
    try:
        parsed = kind.model_validate(wire, strict=True)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        raise _request_error(errors, wire) from None
    return parsed


def _check_num_values(body: bytes) -> None:
    """Checks the number of values, counting the characters that begin or separate them."""
    if _num_values(body) > MAX_VALUES and _num_values(_STRING.sub(b"", body)) > MAX_VALUES:
        raise RequestError(
            f"the body may have at most {MAX_VALUES:,} values in all its lists and objects",
            code="out_of_range",
        )


def _num_values(body: bytes) -> int:
    return sum(map(body.count, (b",", b"[", b"{")))


def _check_num_messages(wire: Any, max_messages: int) -> None:
    messages = wire.get("messages") if isinstance(wire, dict) else None
    if isinstance(messages, list) and len(messages) > max_messages:
        raise RequestError(
            f"messages: must have at most {max_messages} items, got {len(messages)}",
            param="messages",
            code="out_of_range",
        )


def _request_error(errors: list[ErrorDetails], body: object) -> RequestError:
    """Returns the error deepest in the body: the other branches of a union fail above it."""
    paths = [_path_in_body(error["loc"], body, error["type"] == "missing") for error in errors]
    deepest = max(paths, key=len)
    chosen = [error for error, path in zip(errors, paths, strict=True) if path == deepest]
    kind = chosen[0]["type"]
    if kind == "float_type" and type(_value_at(deepest, body)) is int:
        kind = chosen[0]["type"] = "finite_number"  # an integer beyond the range of floats
    param = path_of(deepest)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        field = _discriminator(chosen[0])
        param = ".".join(filter(None, (param, field)))
        if not isinstance(_value_at(deepest, body).get(field, ""), str):
            message = f"{param}: must be a valid string"
            return RequestError(message, param=param, status=422, code="wrong_type")
    reasons = " or ".join(dict.fromkeys(_reason(error) for error in chosen))
    message = f"{param or 'the body'}: {reasons}"
    if kind in _VALUE_ERRORS:
        return RequestError(message, param=param or None, code=_VALUE_ERRORS[kind])
    code = "missing_field" if kind in ("missing", "union_tag_not_found") else "wrong_type"
    return RequestError(message, param=param or None, status=422, code=code)


def _reason(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "union_tag_invalid":
            return f"must be one of {context['expected_tags']}, got {context['tag']!r}"
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
    """Returns the wire name of a union's discriminator, from `'NAME' | 'alias'`."""
    return str(error.get("ctx", {}).get("discriminator", "")).rpartition("| ")[2].strip("'")


def _value_at(path: Sequence[int | str], body: Any) -> Any:
    for key in path:
        body = body[key]
    return body


def _path_in_body(
    location: tuple[int | str, ...], body: object, missing: bool
) -> tuple[int | str, ...]:
    """Returns the keys of a location that are in the body; the others name branches of unions.

    If a field is `missing`, the last key of the location is the one that should be in the body.
    """
    path: list[int | str] = []
    for number, key in enumerate(location, 1):
        if isinstance(body, dict) and isinstance(key, str):
            if key not in body and not (missing and number == len(location)):
                continue
            path.append(key)
            body = body.get(key)
        elif isinstance(body, list) and isinstance(key, int) and key < len(body):
            path.append(key)
            body = body[key]
    return tuple(path)
