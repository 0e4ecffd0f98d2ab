"""Body of a response with status 422."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from friendli.types import UNSET, BaseModel, OptionalNullable


class ValidationError(BaseModel, defer_build=True):
    """Invalid field: its path `loc`, the message, and the type of the error."""

    loc: list[str | int]
    msg: str
    type: str


class ValidationErrorTypedDict(TypedDict):
    """`ValidationError` as a dict."""

    loc: list[str | int]
    msg: str
    type: str


class HTTPValidationErrorData(BaseModel, defer_build=True):
    """Body of a response with status 422, one entry of `detail` per invalid field."""

    detail: OptionalNullable[list[ValidationError]] = UNSET


class HTTPValidationErrorDataTypedDict(TypedDict):
    """`HTTPValidationErrorData` as a dict."""

    detail: NotRequired[list[ValidationErrorTypedDict] | None]
