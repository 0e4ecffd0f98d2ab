"""Messages of a request, and the parts of their content."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypedDict

from friendli.types import UNSET, BaseModel, FailFastList, OptionalNullable

# ── content parts ────────────────────────────────────────────────────────────────────────────


class TextContent(BaseModel):
    """Text part of a message's content."""

    text: str
    TYPE: Annotated[Literal["text"], Field(alias="type")] = "text"

    @property
    def type(self) -> Literal["text"]:
        """Value of the field `type`."""
        return self.TYPE


class TextContentTypedDict(TypedDict):
    """`TextContent` as a dict."""

    type: Literal["text"]
    text: str


class ImageData(BaseModel):
    """Location of an image: an http(s) URL or a `data:` URL."""

    url: str


class ImageDataTypedDict(TypedDict):
    """`ImageData` as a dict."""

    url: str
    detail: NotRequired[str]


class ImageContent(BaseModel):
    """Image part of a message's content."""

    image_url: ImageData
    TYPE: Annotated[Literal["image_url"], Field(alias="type")] = "image_url"

    @property
    def type(self) -> Literal["image_url"]:
        """Value of the field `type`."""
        return self.TYPE


class ImageContentTypedDict(TypedDict):
    """`ImageContent` as a dict."""

    type: Literal["image_url"]
    image_url: ImageDataTypedDict


class AudioData(BaseModel):
    """Location of audio: an http(s) URL or a `data:` URL."""

    url: str


class AudioDataTypedDict(TypedDict):
    """`AudioData` as a dict."""

    url: str


class AudioContent(BaseModel):
    """Audio part of a message's content."""

    audio_url: AudioData
    TYPE: Annotated[Literal["audio_url"], Field(alias="type")] = "audio_url"

    @property
    def type(self) -> Literal["audio_url"]:
        """Value of the field `type`."""
        return self.TYPE


class AudioContentTypedDict(TypedDict):
    """`AudioContent` as a dict."""

    type: Literal["audio_url"]
    audio_url: AudioDataTypedDict


class VideoData(BaseModel):
    """Location of a video: an http(s) URL or a `data:` URL."""

    url: str


class VideoDataTypedDict(TypedDict):
    """`VideoData` as a dict."""

    url: str


class VideoContent(BaseModel):
    """Video part of a message's content."""

    video_url: VideoData
    TYPE: Annotated[Literal["video_url"], Field(alias="type")] = "video_url"

    @property
    def type(self) -> Literal["video_url"]:
        """Value of the field `type`."""
        return self.TYPE


class VideoContentTypedDict(TypedDict):
    """`VideoContent` as a dict."""

    type: Literal["video_url"]
    video_url: VideoDataTypedDict


UserMessageContentMultiModal: TypeAlias = Annotated[
    TextContent | ImageContent | AudioContent | VideoContent, Field(discriminator="TYPE")
]
UserMessageContentMultiModalTypedDict: TypeAlias = (
    TextContentTypedDict | ImageContentTypedDict | AudioContentTypedDict | VideoContentTypedDict
)
UserMessageContent: TypeAlias = str | FailFastList[UserMessageContentMultiModal]
UserMessageContentTypedDict: TypeAlias = str | list[UserMessageContentMultiModalTypedDict]
Content: TypeAlias = UserMessageContent
ContentTypedDict: TypeAlias = UserMessageContentTypedDict

TextParts: TypeAlias = str | FailFastList[TextContent]
TextPartsTypedDict: TypeAlias = str | list[TextContentTypedDict]

# ── messages ─────────────────────────────────────────────────────────────────────────────────


class _Message(BaseModel):
    """Fields of every message that ask for its continuation.

    They may be true only in the last message, an assistant's. Other messages have them too, so that
    false is accepted everywhere, and true rejected by name.
    """

    _new_fields: ClassVar[frozenset[str]] = frozenset({"prefix", "partial"})

    prefix: OptionalNullable[bool] = UNSET
    partial: OptionalNullable[bool] = UNSET


class _MessageTypedDict(TypedDict):
    """Fields of every message that ask for its continuation, as a dict."""

    prefix: NotRequired[bool | None]
    partial: NotRequired[bool | None]


class SystemMessage(_Message):
    """Instructions to the model, before the conversation."""

    content: TextParts
    ROLE: Annotated[Literal["system"], Field(alias="role")] = "system"
    name: OptionalNullable[str] = UNSET

    @property
    def role(self) -> Literal["system"]:
        """Value of the field `role`."""
        return self.ROLE


class SystemMessageTypedDict(_MessageTypedDict):
    """`SystemMessage` as a dict."""

    role: Literal["system"]
    content: TextPartsTypedDict
    name: NotRequired[str | None]


class DeveloperMessage(_Message):
    """System message, under its newer name."""

    content: TextParts
    ROLE: Annotated[Literal["developer"], Field(alias="role")] = "developer"
    name: OptionalNullable[str] = UNSET

    @property
    def role(self) -> Literal["developer"]:
        """Value of the field `role`."""
        return self.ROLE


class DeveloperMessageTypedDict(_MessageTypedDict):
    """`DeveloperMessage` as a dict."""

    role: Literal["developer"]
    content: TextPartsTypedDict
    name: NotRequired[str | None]


class UserMessage(_Message):
    """Message of the user: text, or a list of parts."""

    content: UserMessageContent
    ROLE: Annotated[Literal["user"], Field(alias="role")] = "user"
    name: OptionalNullable[str] = UNSET

    @property
    def role(self) -> Literal["user"]:
        """Value of the field `role`."""
        return self.ROLE


class UserMessageTypedDict(_MessageTypedDict):
    """`UserMessage` as a dict."""

    role: Literal["user"]
    content: UserMessageContentTypedDict
    name: NotRequired[str | None]


class AssistantMessageToolCallFunction(BaseModel):
    """Function that an earlier answer called.

    `arguments` is JSON text; absent or null, the function was called without arguments.
    """

    name: str
    arguments: OptionalNullable[str] = UNSET


class AssistantMessageToolCallFunctionTypedDict(TypedDict):
    """`AssistantMessageToolCallFunction` as a dict."""

    name: str
    arguments: NotRequired[str | None]


class AssistantMessageToolCall(BaseModel):
    """Tool call of an earlier answer."""

    id: str
    function: AssistantMessageToolCallFunction
    TYPE: Annotated[Literal["function"], Field(alias="type")] = "function"

    @property
    def type(self) -> Literal["function"]:
        """Value of the field `type`."""
        return self.TYPE


class AssistantMessageToolCallTypedDict(TypedDict):
    """`AssistantMessageToolCall` as a dict."""

    id: str
    type: NotRequired[Literal["function"]]
    function: AssistantMessageToolCallFunctionTypedDict


class AssistantMessage(_Message):
    """Earlier answer of the model; `reasoning` is another name of `reasoning_content`.

    If it is the last message, `prefix` and `partial`, which mean the same, ask the model to
    continue it.
    """

    _new_fields: ClassVar[frozenset[str]] = _Message._new_fields | {
        "reasoning_content",
        "reasoning",
    }

    ROLE: Annotated[Literal["assistant"], Field(alias="role")] = "assistant"
    content: OptionalNullable[TextParts] = UNSET
    reasoning_content: OptionalNullable[str] = UNSET
    reasoning: OptionalNullable[str] = UNSET
    name: OptionalNullable[str] = UNSET
    tool_calls: OptionalNullable[FailFastList[AssistantMessageToolCall]] = UNSET

    @property
    def role(self) -> Literal["assistant"]:
        """Value of the field `role`."""
        return self.ROLE


class AssistantMessageTypedDict(_MessageTypedDict):
    """`AssistantMessage` as a dict."""

    role: Literal["assistant"]
    content: NotRequired[TextPartsTypedDict | None]
    reasoning_content: NotRequired[str | None]
    reasoning: NotRequired[str | None]
    name: NotRequired[str | None]
    tool_calls: NotRequired[list[AssistantMessageToolCallTypedDict] | None]


class ToolMessage(_Message):
    """Result of a tool call; `tool_call_id` is the id of the call.

    Absent or null, the `content` is empty.
    """

    content: OptionalNullable[TextParts] = UNSET
    tool_call_id: str
    ROLE: Annotated[Literal["tool"], Field(alias="role")] = "tool"
    name: OptionalNullable[str] = UNSET

    @property
    def role(self) -> Literal["tool"]:
        """Value of the field `role`."""
        return self.ROLE


class ToolMessageTypedDict(_MessageTypedDict):
    """`ToolMessage` as a dict."""

    role: Literal["tool"]
    content: NotRequired[TextPartsTypedDict | None]
    tool_call_id: str
    name: NotRequired[str | None]


Message: TypeAlias = Annotated[
    SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage,
    Field(discriminator="ROLE"),
]
MessageTypedDict: TypeAlias = (
    SystemMessageTypedDict
    | DeveloperMessageTypedDict
    | UserMessageTypedDict
    | AssistantMessageTypedDict
    | ToolMessageTypedDict
)
