"""Body of a request: arguments to JSON bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pydantic
from pydantic_core import InitErrorDetails, PydanticCustomError

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

_BRANCHES = frozenset({"str", "user", "assistant", "system", "developer", "tool"})
"""Names of the branches of unions in the locations of errors."""


def encode(arguments: Mapping[str, Any], extra_body: Mapping[str, Any] | None) -> bytes:
    """Build the JSON body of a request.

    UNSET is left out, None is sent as null (but `tool_choice=None` is left out), unknown keys are
    sent unchanged. Messages of an answer are valid request messages.

    Args:
        arguments: Fields of the body by name.
        extra_body: Fields of the body that are not arguments; they override `arguments`.

    Raises:
        pydantic.ValidationError: A field has the wrong type, or is NaN or infinite.
        ValueError: `logit_bias`, `chat_template_kwargs` or `extra_body` contains NaN or infinity.
    """
    fields = {name: value for name, value in arguments.items() if value is not UNSET}
    if fields.get("tool_choice", UNSET) is None:
        del fields["tool_choice"]
    if extra_body:
        _check_finite(extra_body, "extra_body")
        fields.update(extra_body)
    for name in ("logit_bias", "chat_template_kwargs"):
        if fields.get(name):
            _check_finite(fields[name], name)
    bias = fields.get("logit_bias")
    if isinstance(bias, Mapping):
        fields["logit_bias"] = {str(token): value for token, value in bias.items()}
    messages = fields.get("messages")
    if isinstance(messages, Iterable) and not isinstance(messages, str | bytes | Mapping):
        fields["messages"] = [_message(message) for message in messages]
    try:
        body = DedicatedChatCompletionBody.model_validate(fields)
    except pydantic.ValidationError as error:
        raise _readable(error) from None
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


def _readable(error: pydantic.ValidationError) -> pydantic.ValidationError:
    """Return an error that says which field is missing or unknown, in the words of the wire.

    pydantic speaks of the tags of a union and of the discriminators that it looked for.
    """
    details: list[InitErrorDetails] = []
    for line in error.errors(include_url=False):
        kind: Any = line["type"]
        context = line.get("ctx", {})
        if kind in ("union_tag_not_found", "union_tag_invalid"):
            name = str(context["discriminator"]).rpartition("| ")[2].strip("'")
            owner = _path(line["loc"])
            text = f"{owner} has no {name}"
            if kind == "union_tag_invalid":
                tag, tags = context["tag"], context["expected_tags"]
                text = f"{owner}.{name} must be one of {tags}, not {tag!r}"
            kind, context = PydanticCustomError(kind, "{text}", {"text": text}), {}
        details.append(
            {"type": kind, "loc": line["loc"], "input": line["input"], "ctx": dict(context)}
        )
    return pydantic.ValidationError.from_exception_data(error.title, details)


def _path(location: tuple[int | str, ...]) -> str:
    """Return a location as a path, without the branches of unions: `messages[0].content[1]`."""
    path = ""
    for key in location:
        if isinstance(key, int):
            path += f"[{key}]"
        elif key.isidentifier() and key not in _BRANCHES:
            path += f".{key}" if path else key
    return path


def _check_finite(value: Any, path: str) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"`{path}` must be a finite number, got {value}")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            _check_finite(inner, f"{path}[{name!r}]")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _check_finite(inner, f"{path}[{index}]")
