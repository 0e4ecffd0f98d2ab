"""The messages of a request with everything resolved that may be said in several ways."""

from collections.abc import Iterable
from typing import Any

from friendli.models import AssistantMessage, AssistantMessageToolCall, Message
from friendli.types import UNSET
from friendli_endpoint.chat.request.fields import value_or_none
from friendli_endpoint.generation import RequestError

__all__ = ["resolve_messages"]

_NO_ARGUMENTS = "{}"


def resolve_messages(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Returns messages that say everything in one way.

    `reasoning` becomes `reasoning_content`; an empty `tool_calls` is left out, because templates
    ask only whether it is there; a call without arguments has the arguments `{}`.

    Args:
        messages: The messages of a request, of valid types.

    Raises:
        RequestError: `reasoning` and `reasoning_content` of a message differ.
    """
    return tuple(
        _resolve(message, f"messages[{index}]")
        if isinstance(message, AssistantMessage)
        else message
        for index, message in enumerate(messages)
    )


def _resolve(message: AssistantMessage, path: str) -> AssistantMessage:
    changed: dict[str, Any] = {}
    alias, reasoning = value_or_none(message.reasoning), value_or_none(message.reasoning_content)
    if alias and reasoning and alias != reasoning:
        raise RequestError(
            "reasoning is another name of reasoning_content: set one of them, or both to the same "
            "text",
            param=f"{path}.reasoning",
            code="conflict",
        )
    if alias:
        changed["reasoning_content"] = alias
    if message.reasoning is not UNSET:
        changed["reasoning"] = UNSET
    calls = value_or_none(message.tool_calls)
    if not calls and message.tool_calls is not UNSET:
        changed["tool_calls"] = UNSET
    elif calls and any(value_or_none(call.function.arguments) is None for call in calls):
        changed["tool_calls"] = [_with_arguments(call) for call in calls]
    return message.model_copy(update=changed) if changed else message


def _with_arguments(call: AssistantMessageToolCall) -> AssistantMessageToolCall:
    if value_or_none(call.function.arguments) is not None:
        return call
    function = call.function.model_copy(update={"arguments": _NO_ARGUMENTS})
    return call.model_copy(update={"function": function})
