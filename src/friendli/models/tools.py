"""Tools that a request offers, and the choice among them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from friendli.types import UNSET, BaseModel, OptionalNullable


class Function(BaseModel):
    """A function the model may call; `parameters` is a JSON Schema of its arguments."""

    name: str
    parameters: dict[str, Any]
    description: OptionalNullable[str] = UNSET


class FunctionTypedDict(TypedDict):
    """`Function` as a dict."""

    name: str
    parameters: dict[str, Any]
    description: NotRequired[str | None]
    strict: NotRequired[bool | None]


class Tool(BaseModel):
    """A tool the model may call."""

    function: Function
    TYPE: Annotated[Literal["function"], Field(alias="type")] = "function"

    @property
    def type(self) -> Literal["function"]:
        """The tool's tag on the wire."""
        return self.TYPE


class ToolTypedDict(TypedDict):
    """`Tool` as a dict."""

    type: NotRequired[Literal["function"]]
    function: FunctionTypedDict


class ChatCompleteBodyToolChoiceFunction(BaseModel):
    """The name of the function that must be called."""

    name: str


class ChatCompleteBodyToolChoiceFunctionTypedDict(TypedDict):
    """`ChatCompleteBodyToolChoiceFunction` as a dict."""

    name: str


class ChatCompleteBodyToolChoice(BaseModel):
    """Orders the model to call one named function."""

    function: ChatCompleteBodyToolChoiceFunction
    TYPE: Annotated[Literal["function"], Field(alias="type")] = "function"

    @property
    def type(self) -> Literal["function"]:
        """The choice's tag on the wire."""
        return self.TYPE


class ChatCompleteBodyToolChoiceTypedDict(TypedDict):
    """`ChatCompleteBodyToolChoice` as a dict."""

    type: NotRequired[Literal["function"]]
    function: ChatCompleteBodyToolChoiceFunctionTypedDict


ToolChoice: TypeAlias = str | ChatCompleteBodyToolChoice
ToolChoiceTypedDict: TypeAlias = str | ChatCompleteBodyToolChoiceTypedDict
