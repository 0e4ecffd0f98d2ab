"""Whole answers; and log probabilities and usage, which streamed answers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from friendli.types import (
    ABSENT,
    UNSET,
    BaseModel,
    FailFastList,
    NoneWhenAbsent,
    OptionalNullable,
)

if TYPE_CHECKING:
    FinishReason: TypeAlias = Literal["stop", "length", "tool_calls"] | str
else:
    # Open: later servers may add values.
    FinishReason = str
ChatChoiceFinishReason: TypeAlias = FinishReason


class ChatLogprobsContentTopLogprob(BaseModel):
    """One of the most likely tokens at a position; `bytes_` are its raw bytes, 0 to 255 each."""

    token: str
    logprob: float
    bytes_: Annotated[OptionalNullable[FailFastList[int]], Field(alias="bytes")] = UNSET


class ChatLogprobsContentTopLogprobTypedDict(TypedDict):
    """`ChatLogprobsContentTopLogprob` as a dict."""

    token: str
    logprob: float
    bytes: NotRequired[list[int] | None]


class ChatLogprobsContent(BaseModel):
    """Generated token, its natural log probability, and the most likely tokens at its position."""

    token: str
    logprob: float
    top_logprobs: FailFastList[ChatLogprobsContentTopLogprob]
    bytes_: Annotated[OptionalNullable[FailFastList[int]], Field(alias="bytes")] = UNSET


class ChatLogprobsContentTypedDict(TypedDict):
    """`ChatLogprobsContent` as a dict."""

    token: str
    logprob: float
    top_logprobs: list[ChatLogprobsContentTopLogprobTypedDict]
    bytes: NotRequired[list[int] | None]


class ChatLogprobs(BaseModel):
    """Log probabilities of a choice, one entry per token."""

    content: OptionalNullable[FailFastList[ChatLogprobsContent]] = UNSET


class ChatLogprobsTypedDict(TypedDict):
    """`ChatLogprobs` as a dict."""

    content: NotRequired[list[ChatLogprobsContentTypedDict] | None]


ChatLogprobsInput: TypeAlias = ChatLogprobs
ChatLogprobsInputTypedDict: TypeAlias = ChatLogprobsTypedDict
ChatLogprobsOutput: TypeAlias = ChatLogprobs
ChatLogprobsOutputTypedDict: TypeAlias = ChatLogprobsTypedDict


class PromptTokensDetails(BaseModel):
    """Number of prompt tokens in a cached prefix."""

    cached_tokens: OptionalNullable[int] = UNSET


class PromptTokensDetailsTypedDict(TypedDict):
    """`PromptTokensDetails` as a dict."""

    cached_tokens: NotRequired[int | None]


class ChatUsage(BaseModel):
    """Token counts: the prompt counts once, the tokens of all choices are added up."""

    _new_fields: ClassVar[frozenset[str]] = frozenset({"prompt_tokens_details"})

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: NoneWhenAbsent[PromptTokensDetails] = ABSENT


class ChatUsageTypedDict(TypedDict):
    """`ChatUsage` as a dict."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: NotRequired[PromptTokensDetailsTypedDict | None]


class FunctionResult(BaseModel):
    """Function that the model calls; `arguments` is JSON text."""

    arguments: str
    name: str


class FunctionResultTypedDict(TypedDict):
    """`FunctionResult` as a dict."""

    arguments: str
    name: str


class ToolCallResult(BaseModel):
    """Tool call of the model."""

    id: str
    function: FunctionResult
    TYPE: Annotated[str, Field(alias="type")] = "function"

    @property
    def type(self) -> str:
        """Value of the field `type`."""
        return self.TYPE


class ToolCallResultTypedDict(TypedDict):
    """`ToolCallResult` as a dict."""

    id: str
    function: FunctionResultTypedDict
    type: NotRequired[str]


class ChatChoiceMessage(BaseModel):
    """Message of a choice."""

    _new_fields: ClassVar[frozenset[str]] = frozenset({"reasoning_content"})

    role: str
    content: OptionalNullable[str] = UNSET
    reasoning_content: NoneWhenAbsent[str] = ABSENT
    tool_calls: OptionalNullable[FailFastList[ToolCallResult]] = UNSET


class ChatChoiceMessageTypedDict(TypedDict):
    """`ChatChoiceMessage` as a dict."""

    role: str
    content: NotRequired[str | None]
    reasoning_content: NotRequired[str | None]
    tool_calls: NotRequired[list[ToolCallResultTypedDict] | None]


class ChatChoice(BaseModel):
    """One of the `n` choices. `seed` is the seed of its sampling, if the server sends it."""

    _new_fields: ClassVar[frozenset[str]] = frozenset({"seed"})

    index: int
    message: ChatChoiceMessage
    finish_reason: OptionalNullable[FinishReason] = UNSET
    logprobs: OptionalNullable[ChatLogprobs] = UNSET
    seed: NoneWhenAbsent[int] = ABSENT


class ChatChoiceTypedDict(TypedDict):
    """`ChatChoice` as a dict."""

    index: int
    message: ChatChoiceMessageTypedDict
    finish_reason: NotRequired[str | None]
    logprobs: NotRequired[ChatLogprobsTypedDict | None]
    seed: NotRequired[int | None]


if TYPE_CHECKING:
    _Usage: TypeAlias = ChatUsage
    _NO_USAGE: Any
else:
    # Every whole answer has usage, so programs may rely on the type. Only a stream without
    # `include_usage` accumulates to an answer without usage: there it reads as UNSET.
    _Usage = OptionalNullable[ChatUsage]
    _NO_USAGE = UNSET


class ContainerChatCompleteSuccess(BaseModel):
    """Whole answer."""

    id: str
    choices: FailFastList[ChatChoice]
    usage: _Usage = _NO_USAGE
    created: int
    OBJECT: Annotated[str, Field(alias="object")] = "chat.completion"
    model: OptionalNullable[str] = UNSET

    @property
    def object(self) -> str:
        """Value of the field `object`."""
        return self.OBJECT

    @property
    def request_id(self) -> str | None:
        """Value of the response header `x-request-id`, or None.

        It is not a field of the answer, so it is neither dumped nor compared.
        """
        value: str | None = self.__dict__.get("_request_id")
        return value


class ContainerChatCompleteSuccessTypedDict(TypedDict):
    """`ContainerChatCompleteSuccess` as a dict."""

    id: str
    choices: list[ChatChoiceTypedDict]
    usage: ChatUsageTypedDict
    created: int
    object: NotRequired[str]
    model: NotRequired[str | None]


ServerlessChatCompleteSuccess: TypeAlias = ContainerChatCompleteSuccess
ServerlessChatCompleteSuccessTypedDict: TypeAlias = ContainerChatCompleteSuccessTypedDict
