"""Formats of `response_format`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from friendli.types import UNSET, BaseModel, OptionalNullable


class ResponseFormatText(BaseModel):
    """Free text."""

    TYPE: Annotated[Literal["text"], Field(alias="type")] = "text"

    @property
    def type(self) -> Literal["text"]:
        """Value of the field `type`."""
        return self.TYPE


class ResponseFormatTextTypedDict(TypedDict):
    """`ResponseFormatText` as a dict."""

    type: Literal["text"]


class ResponseFormatJSONObject(BaseModel):
    """Any JSON object, or JSON that matches `schema_`, as in `ResponseFormatJSONSchema`."""

    quiet_fields: ClassVar[frozenset[str]] = frozenset({"schema_"})

    TYPE: Annotated[Literal["json_object"], Field(alias="type")] = "json_object"
    schema_: Annotated[OptionalNullable[dict[str, Any]], Field(alias="schema")] = UNSET

    @property
    def type(self) -> Literal["json_object"]:
        """Value of the field `type`."""
        return self.TYPE


class ResponseFormatJSONObjectTypedDict(TypedDict):
    """`ResponseFormatJSONObject` as a dict."""

    type: Literal["json_object"]
    schema: NotRequired[dict[str, Any] | None]


class ResponseFormatJSONSchemaSchema(BaseModel):
    """JSON Schema that the answer must match."""

    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class ResponseFormatJSONSchemaSchemaTypedDict(TypedDict):
    """`ResponseFormatJSONSchemaSchema` as a dict."""

    schema: dict[str, Any]
    name: NotRequired[str]
    description: NotRequired[str]
    strict: NotRequired[bool | None]


class ResponseFormatJSONSchema(BaseModel):
    """JSON that matches a JSON Schema."""

    json_schema: ResponseFormatJSONSchemaSchema
    TYPE: Annotated[Literal["json_schema"], Field(alias="type")] = "json_schema"

    @property
    def type(self) -> Literal["json_schema"]:
        """Value of the field `type`."""
        return self.TYPE


class ResponseFormatJSONSchemaTypedDict(TypedDict):
    """`ResponseFormatJSONSchema` as a dict."""

    type: Literal["json_schema"]
    json_schema: ResponseFormatJSONSchemaSchemaTypedDict


class ResponseFormatRegex(BaseModel):
    """Text that fully matches a regular expression."""

    schema_: Annotated[str, Field(alias="schema")]
    TYPE: Annotated[Literal["regex"], Field(alias="type")] = "regex"

    @property
    def type(self) -> Literal["regex"]:
        """Value of the field `type`."""
        return self.TYPE


class ResponseFormatRegexTypedDict(TypedDict):
    """`ResponseFormatRegex` as a dict."""

    type: Literal["regex"]
    schema: str


ResponseFormat: TypeAlias = Annotated[
    ResponseFormatText | ResponseFormatJSONObject | ResponseFormatJSONSchema | ResponseFormatRegex,
    Field(discriminator="TYPE"),
]
ResponseFormatTypedDict: TypeAlias = (
    ResponseFormatTextTypedDict
    | ResponseFormatJSONObjectTypedDict
    | ResponseFormatJSONSchemaTypedDict
    | ResponseFormatRegexTypedDict
)
