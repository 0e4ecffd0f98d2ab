"""The body of a request: arguments in, JSON bytes out.

Knows what a program may pass for each field, and nothing about sending.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pydantic

from friendli.models.messages import (
    AssistantMessage,
    AssistantMessageToolCall,
    DeveloperMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from friendli.models.request import DedicatedChatCompletionBody
from friendli.types import UNSET

_MESSAGES = (SystemMessage, DeveloperMessage, UserMessage, AssistantMessage, ToolMessage)


def encode(given: Mapping[str, Any], extra_body: Mapping[str, Any] | None) -> bytes:
    """Build the JSON of a request.

    UNSET is left out, None is sent as null (but `tool_choice=None` is left out), keys that the
    types do not know are sent as they are. Messages of an answer may be passed back as they came.

    Args:
        given: The body's fields by name.
        extra_body: Fields of the body that have no argument yet; they win over `given`.

    Raises:
        pydantic.ValidationError: A field has the wrong type, or is NaN or infinite.
        ValueError: NaN or infinity inside `logit_bias`, `chat_template_kwargs` or `extra_body`.
    """
    fields = {name: value for name, value in given.items() if value is not UNSET}
    if fields.get("tool_choice", UNSET) is None:
        del fields["tool_choice"]
    if extra_body:
        _refuse_nan(extra_body, "extra_body")
        fields.update(extra_body)
    for name in ("logit_bias", "chat_template_kwargs"):
        if fields.get(name):
            _refuse_nan(fields[name], name)
    messages = fields.get("messages")
    if isinstance(messages, Iterable) and not isinstance(messages, str | bytes | Mapping):
        fields["messages"] = [_message(message) for message in messages]
    body = DedicatedChatCompletionBody.model_validate(fields)
    return body.__pydantic_serializer__.to_json(body, by_alias=True)


def _message(message: Any) -> Any:
    if isinstance(message, _MESSAGES):
        return message
    if isinstance(message, pydantic.BaseModel):
        return message.model_dump()
    if isinstance(message, Mapping) and message.get("tool_calls"):
        calls = [
            call.model_dump()
            if isinstance(call, pydantic.BaseModel)
            and not isinstance(call, AssistantMessageToolCall)
            else call
            for call in message["tool_calls"]
        ]
        return {**message, "tool_calls": calls}
    return message


def _refuse_nan(value: Any, path: str) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{path} is {value}, which JSON cannot carry")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            _refuse_nan(inner, f"{path}[{name!r}]")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _refuse_nan(inner, f"{path}[{index}]")
