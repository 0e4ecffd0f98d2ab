"""Tools of a request, and `tool_choice`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from friendli.types import UNSET, BaseModel, OptionalNullable


class Function(BaseModel):
    """Function that the model may call.

    `parameters` is the JSON Schema of its arguments; absent or null, it has no arguments.
    """

    name: str
    parameters: OptionalNullable[dict[str, Any]] = UNSET
    description: OptionalNullable[str] = UNSET


class FunctionTypedDict(TypedDict):
    """`Function` as a dict."""

    name: str
    parameters: NotRequired[dict[str, Any] | None]
    description: NotRequired[str | None]
    strict: NotRequired[bool | None]


class Tool(BaseModel):
    """Tool that the model may call."""

    function: Function
    TYPE: Annotated[Literal["function"], Field(alias="type")] = "function"

    @property
    def type(self) -> Literal["function"]:
        """Value of the field `type`."""
        return self.TYPE


class ToolTypedDict(TypedDict):
    """`Tool` as a dict."""

    type: NotRequired[Literal["function"]]
    function: FunctionTypedDict


class ChatCompleteBodyToolChoiceFunction(BaseModel):
    """Name of the function that must be called."""

    name: str


class ChatCompleteBodyToolChoiceFunctionTypedDict(TypedDict):
    """`ChatCompleteBodyToolChoiceFunction` as a dict."""

    name: str


class ChatCompleteBodyToolChoice(BaseModel):
    """Choice that forces the model to call one function."""

    function: ChatCompleteBodyToolChoiceFunction
    TYPE: Annotated[Literal["function"], Field(alias="type")] = "function"

    @property
    def type(self) -> Literal["function"]:
        """Value of the field `type`."""
        return self.TYPE


class ChatCompleteBodyToolChoiceTypedDict(TypedDict):
    """`ChatCompleteBodyToolChoice` as a dict."""

    type: NotRequired[Literal["function"]]
    function: ChatCompleteBodyToolChoiceFunctionTypedDict


ToolChoice: TypeAlias = str | ChatCompleteBodyToolChoice
ToolChoiceTypedDict: TypeAlias = str | ChatCompleteBodyToolChoiceTypedDict
