"""Body of a chat request, and its combinations with headers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NotRequired, TypeAlias

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from friendli.models.formats import ResponseFormat, ResponseFormatTypedDict
from friendli.models.messages import Message, MessageTypedDict
from friendli.models.tools import Tool, ToolChoice, ToolChoiceTypedDict, ToolTypedDict
from friendli.types import UNSET, BaseModel, FailFastList, OptionalNullable


class StreamOptions(BaseModel):
    """Options of a stream; `include_usage` adds a last event with token counts."""

    include_usage: OptionalNullable[bool] = UNSET


class StreamOptionsTypedDict(TypedDict):
    """`StreamOptions` as a dict."""

    include_usage: NotRequired[bool | None]


Seed: TypeAlias = int | list[int]
DedicatedChatCompletionBodySeed: TypeAlias = Seed
DedicatedChatCompletionBodySeedTypedDict: TypeAlias = Seed
DedicatedChatCompletionStreamBodySeed: TypeAlias = Seed
DedicatedChatCompletionStreamBodySeedTypedDict: TypeAlias = Seed
DedicatedChatCompletionBodyToolChoice: TypeAlias = ToolChoice
DedicatedChatCompletionBodyToolChoiceTypedDict: TypeAlias = ToolChoiceTypedDict
DedicatedChatCompletionStreamBodyToolChoice: TypeAlias = ToolChoice
DedicatedChatCompletionStreamBodyToolChoiceTypedDict: TypeAlias = ToolChoiceTypedDict
DedicatedChatCompletionBodyReasoningEffort: TypeAlias = str


class DedicatedChatCompletionBody(BaseModel):
    """Body of `POST /dedicated/v1/chat/completions`.

    Only JSON types are validated here; the endpoint checks ranges and invalid combinations.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(allow_inf_nan=False)

    model: str
    messages: FailFastList[Message]
    chat_template_kwargs: OptionalNullable[dict[str, Any]] = UNSET
    continue_final_message: OptionalNullable[bool] = UNSET
    add_generation_prompt: OptionalNullable[bool] = UNSET
    eos_token: OptionalNullable[FailFastList[int]] = UNSET
    frequency_penalty: OptionalNullable[float] = UNSET
    logit_bias: OptionalNullable[dict[str, Any]] = UNSET
    logprobs: OptionalNullable[bool] = UNSET
    max_tokens: OptionalNullable[int] = UNSET
    max_completion_tokens: OptionalNullable[int] = UNSET
    min_p: OptionalNullable[float] = UNSET
    n: OptionalNullable[int] = UNSET
    parallel_tool_calls: OptionalNullable[bool] = UNSET
    presence_penalty: OptionalNullable[float] = UNSET
    repetition_penalty: OptionalNullable[float] = UNSET
    reasoning_effort: OptionalNullable[str] = UNSET
    reasoning_budget: OptionalNullable[int] = UNSET
    seed: OptionalNullable[int | FailFastList[int]] = UNSET
    stop: OptionalNullable[str | FailFastList[str]] = UNSET
    stream: OptionalNullable[bool] = UNSET
    stream_options: OptionalNullable[StreamOptions] = UNSET
    parse_reasoning: OptionalNullable[bool] = UNSET
    include_reasoning: OptionalNullable[bool] = UNSET
    temperature: OptionalNullable[float] = UNSET
    tool_choice: OptionalNullable[ToolChoice] = UNSET
    top_k: OptionalNullable[int] = UNSET
    top_logprobs: OptionalNullable[int] = UNSET
    top_p: OptionalNullable[float] = UNSET
    xtc_threshold: OptionalNullable[float] = UNSET
    xtc_probability: OptionalNullable[float] = UNSET
    tools: OptionalNullable[FailFastList[Tool]] = UNSET
    min_tokens: OptionalNullable[int] = UNSET
    response_format: OptionalNullable[ResponseFormat] = UNSET


class DedicatedChatCompletionBodyTypedDict(TypedDict):
    """`DedicatedChatCompletionBody` as a dict."""

    model: str
    messages: list[MessageTypedDict]
    chat_template_kwargs: NotRequired[dict[str, Any] | None]
    continue_final_message: NotRequired[bool | None]
    add_generation_prompt: NotRequired[bool | None]
    eos_token: NotRequired[list[int] | None]
    frequency_penalty: NotRequired[float | None]
    logit_bias: NotRequired[dict[str, Any] | None]
    logprobs: NotRequired[bool | None]
    max_tokens: NotRequired[int | None]
    max_completion_tokens: NotRequired[int | None]
    min_p: NotRequired[float | None]
    n: NotRequired[int | None]
    parallel_tool_calls: NotRequired[bool | None]
    presence_penalty: NotRequired[float | None]
    repetition_penalty: NotRequired[float | None]
    reasoning_effort: NotRequired[str | None]
    reasoning_budget: NotRequired[int | None]
    seed: NotRequired[Seed | None]
    stop: NotRequired[str | list[str] | None]
    stream: NotRequired[bool | None]
    stream_options: NotRequired[StreamOptionsTypedDict | None]
    parse_reasoning: NotRequired[bool | None]
    include_reasoning: NotRequired[bool | None]
    temperature: NotRequired[float | None]
    tool_choice: NotRequired[ToolChoiceTypedDict | None]
    top_k: NotRequired[int | None]
    top_logprobs: NotRequired[int | None]
    top_p: NotRequired[float | None]
    xtc_threshold: NotRequired[float | None]
    xtc_probability: NotRequired[float | None]
    tools: NotRequired[list[ToolTypedDict] | None]
    min_tokens: NotRequired[int | None]
    response_format: NotRequired[ResponseFormatTypedDict | None]


# The following classes are kept for programs that import them, and built at their first use:
# compiling the body three more times would delay the first response of every program by some 10 ms.


class DedicatedChatCompletionStreamBody(DedicatedChatCompletionBody, defer_build=True):
    """Body of a chat request whose `stream` is True by default."""

    stream: OptionalNullable[bool] = True


class DedicatedChatCompletionStreamBodyTypedDict(DedicatedChatCompletionBodyTypedDict):
    """`DedicatedChatCompletionStreamBody` as a dict."""


class DedicatedChatCompleteRequest(BaseModel, defer_build=True):
    """Body of a chat request, and its headers."""

    dedicated_chat_completion_body: DedicatedChatCompletionBody
    x_friendli_team: Annotated[OptionalNullable[str], Field(alias="X-Friendli-Team")] = UNSET


class DedicatedChatCompleteRequestTypedDict(TypedDict):
    """`DedicatedChatCompleteRequest` as a dict."""

    dedicated_chat_completion_body: DedicatedChatCompletionBodyTypedDict
    x_friendli_team: NotRequired[str | None]


class DedicatedChatStreamRequest(BaseModel, defer_build=True):
    """Body of a streaming chat request, and its headers."""

    dedicated_chat_completion_stream_body: DedicatedChatCompletionStreamBody
    x_friendli_team: Annotated[OptionalNullable[str], Field(alias="X-Friendli-Team")] = UNSET


class DedicatedChatStreamRequestTypedDict(TypedDict):
    """`DedicatedChatStreamRequest` as a dict."""

    dedicated_chat_completion_stream_body: DedicatedChatCompletionStreamBodyTypedDict
    x_friendli_team: NotRequired[str | None]
