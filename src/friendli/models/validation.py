"""What an answer with status 422 may say of the fields that are wrong."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from friendli.types import UNSET, BaseModel, OptionalNullable


class ValidationError(BaseModel, defer_build=True):
    """A wrong field: the path to it, what is wrong, and the name of the rule it breaks."""

    loc: list[str | int]
    msg: str
    type: str


class ValidationErrorTypedDict(TypedDict):
    """`ValidationError` as a dict."""

    loc: list[str | int]
    msg: str
    type: str


class HTTPValidationErrorData(BaseModel, defer_build=True):
    """The body of such an answer."""

    detail: OptionalNullable[list[ValidationError]] = UNSET


class HTTPValidationErrorDataTypedDict(TypedDict):
    """`HTTPValidationErrorData` as a dict."""

    detail: NotRequired[list[ValidationErrorTypedDict] | None]
