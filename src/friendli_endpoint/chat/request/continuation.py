"""The message that the answer continues, if a request asks for that.

Two forms mark the last message itself, one is a pair of fields of the body. All mean the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from friendli.models import AssistantMessage, DedicatedChatCompletionBody, Message
from friendli_endpoint.chat.request.fields import value_or_none
from friendli_endpoint.generation import RequestError

__all__ = ["Continuation", "continuation_of"]

_MARKS: tuple[Literal["prefix", "partial"], ...] = ("prefix", "partial")
_FORMS = "continue_final_message: true, or prefix: true or partial: true in the last message"


@dataclass(frozen=True, slots=True)
class Continuation:
    """The text at the end of the conversation that the answer continues.

    Attributes:
        index: Index of the last message.
        field: The field of that message which holds the text. It is `reasoning_content` if the
            message has reasoning and no content.
        text: The text, possibly empty.
    """

    index: int
    field: Literal["content", "reasoning_content"]
    text: str

    @property
    def param(self) -> str:
        """Path of the text in the request."""
        return f"messages[{self.index}].{self.field}"


def continuation_of(
    body: DedicatedChatCompletionBody, messages: Sequence[Message], tool_required: bool = False
) -> Continuation | None:
    """Returns what the answer continues; None if it is a new message.

    Args:
        body: The body of the request.
        messages: Its messages, at least one.
        tool_required: Whether the answer must be tool calls.

    Raises:
        RequestError: Another message than the last one is to be continued, it is not an
            assistant's or has tool calls, fields contradict each other, or the answer must be tool
            calls.
    """
    param = _form(messages)
    if param is None and value_or_none(body.continue_final_message):
        param = "continue_final_message"
    generation_prompt = value_or_none(body.add_generation_prompt)
    if param is None:
        if generation_prompt is False:
            raise _conflict(
                "add_generation_prompt", f"add_generation_prompt can only be false with {_FORMS}"
            )
        return None
    index = len(messages) - 1
    last = messages[index]
    if not isinstance(last, AssistantMessage):
        raise _conflict(
            param,
            f"{param} can only be true if the last message, messages[{index}], is the assistant's",
        )
    if value_or_none(last.tool_calls):
        path = f"messages[{index}].tool_calls"
        raise _conflict(path, f"{path}: a message with tool calls cannot be continued")
    if generation_prompt:
        raise _conflict(
            "add_generation_prompt", f"add_generation_prompt cannot be true with {param}: true"
        )
    if tool_required:
        raise _conflict(
            "tool_choice",
            f"tool_choice cannot force a tool call with {param}: true: a call begins an answer",
        )
    return _text_of(index, last)


def _form(messages: Sequence[Message]) -> str | None:
    """Returns the path of the first field of a message that asks for its continuation."""
    for index, message in enumerate(messages):
        for name in _MARKS:
            if value_or_none(getattr(message, name)):
                param = f"messages[{index}].{name}"
                if index < len(messages) - 1:
                    raise _conflict(
                        param, f"{param} can only be true in the last message of the conversation"
                    )
                return param
    return None


def _text_of(index: int, message: AssistantMessage) -> Continuation:
    content = message.content
    if isinstance(content, list):
        content = "\n".join(part.text for part in content)
    reasoning: str | None = value_or_none(message.reasoning_content)
    if reasoning and not content:
        return Continuation(index, "reasoning_content", reasoning)
    return Continuation(index, "content", content or "")


def _conflict(param: str, message: str) -> RequestError:
    return RequestError(message, param=param, code="conflict")
