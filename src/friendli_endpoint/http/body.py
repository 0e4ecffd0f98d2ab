"""From the bytes of a request to its wire type, or to an error that names the field."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json
from starlette.requests import Request

from friendli_endpoint.generation import Refusal
from friendli_endpoint.http.scrutiny import path_of, scrutinise

__all__ = ["parse_body", "read_body"]

_RULE_BROKEN = {
    "union_tag_invalid": "unknown_value",
    "literal_error": "unknown_value",
    "finite_number": "out_of_range",
    "extra_forbidden": "unknown_field",
    "string_pattern_mismatch": "unknown_value",
    "string_too_long": "out_of_range",
    "string_too_short": "out_of_range",
}
"""Kinds of validation error that are a broken rule (400); the others are a wrong type (422)."""


async def read_body(request: Request, most: int) -> bytes:
    """The body, as far as it is allowed to go.

    Args:
        request: The request.
        most: Bytes that it may have.

    Raises:
        Refusal: 413 as soon as it is known to be larger, 400 where there is none.
    """
    too_large = Refusal(
        f"the body must be at most {most:,} bytes", status=413, code="body_too_large"
    )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(most)) or int(declared) > most):
        raise too_large
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise too_large
    if not body:
        raise Refusal("the request has no body: a JSON object is expected", code="invalid_json")
    return bytes(body)


Body = TypeVar("Body", bound=BaseModel)


def parse_body(body: bytes, kind: type[Body]) -> Body:
    """Validates a body strictly: no value is converted to another type.

    Args:
        body: JSON.
        kind: What it is to be.

    Raises:
        Refusal: 400 where it is no JSON or breaks a rule, 422 where a field is missing or has the
            wrong type.
    """
    try:
        parsed = kind.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise _refusal_of(error.errors(include_url=False), body) from None
    scrutinise(body, parsed)
    return parsed


def _refusal_of(errors: list[ErrorDetails], body: bytes) -> Refusal:
    if errors[0]["type"] == "json_invalid":
        return Refusal(f"the body is no JSON: {_reason(errors[0])}", code="invalid_json")
    return _refusal(errors, from_json(body))


def _refusal(errors: list[ErrorDetails], body: object) -> Refusal:
    """The error that lies deepest in the body: the branches of a union fail above it."""
    places = [_place(each["loc"], body, each["type"] == "missing") for each in errors]
    deepest = max(places, key=len)
    chosen = [each for each, place in zip(errors, places, strict=True) if place == deepest]
    kind = chosen[0]["type"]
    param = path_of(deepest)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        field = _discriminator(chosen[0])
        param = ".".join(filter(None, (param, field)))
        if not isinstance(chosen[0]["input"].get(field, ""), str):
            message = f"{param}: must be a valid string"
            return Refusal(message, param=param, status=422, code="wrong_type")
    what = " or ".join(dict.fromkeys(_reason(each) for each in chosen))
    message = f"{param or 'the body'}: {what}"
    if kind in _RULE_BROKEN:
        return Refusal(message, param=param or None, code=_RULE_BROKEN[kind])
    code = "missing_field" if kind in ("missing", "union_tag_not_found") else "wrong_type"
    return Refusal(message, param=param or None, status=422, code=code)


def _reason(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "json_invalid":
            return str(context["error"])
        case "union_tag_invalid":
            return f"must be one of {context['expected_tags']}, not {context['tag']!r}"
        case "missing" | "union_tag_not_found":
            return "this field is required"
        case "extra_forbidden":
            return "there is no such field"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "string_too_short":
            return "must not be empty"
    return error["msg"].replace("Input should be", "must be")


def _discriminator(error: ErrorDetails) -> str:
    """The wire name of the field that tells a union's branches apart, from `'NAME' | 'alias'`."""
    return str(error.get("ctx", {}).get("discriminator", "")).rpartition("| ")[2].strip("'")


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
