"""Events of a streamed answer."""

from __future__ import annotations

from typing import Annotated, ClassVar, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from friendli.models.completion import (
    ChatLogprobs,
    ChatLogprobsTypedDict,
    ChatUsage,
    ChatUsageTypedDict,
    FinishReason,
)
from friendli.types import (
    ABSENT,
    UNSET,
    BaseModel,
    FailFastList,
    NoneWhenAbsent,
    OptionalNullable,
)

StreamedChatChoiceFinishReason: TypeAlias = FinishReason


class StreamedFunctionResult(BaseModel):
    """Delta of a called function; `arguments` is a fragment of JSON text."""

    arguments: OptionalNullable[str] = UNSET
    name: OptionalNullable[str] = UNSET


class StreamedFunctionResultTypedDict(TypedDict):
    """`StreamedFunctionResult` as a dict."""

    arguments: NotRequired[str | None]
    name: NotRequired[str | None]


class StreamedToolCallResult(BaseModel):
    """Delta of a tool call; all deltas of one call have the same `index`."""

    index: int
    function: OptionalNullable[StreamedFunctionResult] = UNSET
    TYPE: Annotated[OptionalNullable[str], Field(alias="type")] = "function"
    id: OptionalNullable[str] = UNSET

    @property
    def type(self) -> OptionalNullable[str]:
        """Value of the field `type`."""
        return self.TYPE


class StreamedToolCallResultTypedDict(TypedDict):
    """`StreamedToolCallResult` as a dict."""

    index: int
    function: NotRequired[StreamedFunctionResultTypedDict | None]
    type: NotRequired[str | None]
    id: NotRequired[str | None]


class StreamedChatChoiceDelta(BaseModel):
    """Delta of the message of a choice."""

    _new_fields: ClassVar[frozenset[str]] = frozenset({"reasoning_content"})

    content: OptionalNullable[str] = UNSET
    role: OptionalNullable[str] = UNSET
    reasoning_content: NoneWhenAbsent[str] = ABSENT
    tool_calls: OptionalNullable[FailFastList[StreamedToolCallResult]] = UNSET


class StreamedChatChoiceDeltaTypedDict(TypedDict):
    """`StreamedChatChoiceDelta` as a dict."""

    content: NotRequired[str | None]
    role: NotRequired[str | None]
    reasoning_content: NotRequired[str | None]
    tool_calls: NotRequired[list[StreamedToolCallResultTypedDict] | None]


class StreamedChatChoice(BaseModel):
    """Delta of a choice. Only the first event of a choice may have `seed`."""

    _new_fields: ClassVar[frozenset[str]] = frozenset({"seed"})

    index: int
    delta: StreamedChatChoiceDelta
    logprobs: OptionalNullable[ChatLogprobs] = UNSET
    finish_reason: OptionalNullable[FinishReason] = UNSET
    seed: NoneWhenAbsent[int] = ABSENT


class StreamedChatChoiceTypedDict(TypedDict):
    """`StreamedChatChoice` as a dict."""

    index: int
    delta: StreamedChatChoiceDeltaTypedDict
    logprobs: NotRequired[ChatLogprobsTypedDict | None]
    finish_reason: NotRequired[str | None]
    seed: NotRequired[int | None]


class StreamedChatData(BaseModel):
    """JSON of an event, a chunk of the answer. The event with `usage` has no choices."""

    id: str
    choices: FailFastList[StreamedChatChoice]
    created: int
    usage: OptionalNullable[ChatUsage] = UNSET
    OBJECT: Annotated[str, Field(alias="object")] = "chat.completion.chunk"
    model: OptionalNullable[str] = UNSET

    @property
    def object(self) -> str:
        """Value of the field `object`."""
        return self.OBJECT


class StreamedChatDataTypedDict(TypedDict):
    """`StreamedChatData` as a dict."""

    id: str
    choices: list[StreamedChatChoiceTypedDict]
    created: int
    usage: NotRequired[ChatUsageTypedDict | None]
    object: NotRequired[str]
    model: NotRequired[str | None]


class ContainerChatCompletionStreamSuccess(BaseModel):
    """Event of a stream; `data` is its JSON."""

    data: StreamedChatData


class ContainerChatCompletionStreamSuccessTypedDict(TypedDict):
    """`ContainerChatCompletionStreamSuccess` as a dict."""

    data: StreamedChatDataTypedDict


ServerlessChatCompletionStreamSuccess: TypeAlias = ContainerChatCompletionStreamSuccess
ServerlessChatCompletionStreamSuccessTypedDict: TypeAlias = (
    ContainerChatCompletionStreamSuccessTypedDict
)
StreamedChatResult: TypeAlias = ContainerChatCompletionStreamSuccess
StreamedChatResultTypedDict: TypeAlias = ContainerChatCompletionStreamSuccessTypedDict
