"""The tools of a request, and the choice among them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from friendli.models import ChatCompleteBodyToolChoice, DedicatedChatCompletionBody, Tool
from friendli_endpoint.chat.request.chat_request import OfferedTool
from friendli_endpoint.chat.request.fields import value_or_none
from friendli_endpoint.generation import RequestError

__all__ = ["ToolChoice", "tool_choice"]

_ANY_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}
_NO_ARGUMENTS: Mapping[str, Any] = {**_ANY_ARGUMENTS, "additionalProperties": False}
"""Schema of a function without `parameters`."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """The tools of a request, and the choice among them.

    Attributes:
        offered: The tools of the request.
        tools: The tools that may be called; empty if none may.
        required: Whether the answer must be tool calls.
        parallel: Whether the answer may contain several calls.
    """

    offered: tuple[OfferedTool, ...]
    tools: tuple[OfferedTool, ...]
    required: bool
    parallel: bool


def tool_choice(body: DedicatedChatCompletionBody) -> ToolChoice:
    """Returns the tools of a request, and the choice among them.

    Raises:
        RequestError: A name is invalid, is used twice, or is chosen but not offered; or the
            arguments of a tool are not an object.
    """
    tools = tuple(
        _offered(index, tool) for index, tool in enumerate(value_or_none(body.tools) or ())
    )
    _check_names(tools)
    choice = value_or_none(body.tool_choice) or "auto"
    parallel = value_or_none(body.parallel_tool_calls) is not False
    if isinstance(choice, ChatCompleteBodyToolChoice):
        return ToolChoice(tools, (_chosen(choice.function.name, tools),), True, False)
    callable_tools = () if choice == "none" else tools
    return ToolChoice(tools, callable_tools, choice == "required", parallel)


def _offered(index: int, tool: Tool) -> OfferedTool:
    function = tool.function
    if not _NAME.fullmatch(function.name):
        raise RequestError(
            "a function's name must be 1 to 64 letters, digits, dots, dashes and underscores, "
            f"not {function.name!r}",
            param=f"tools[{index}].function.name",
            code="out_of_range",
        )
    sent = value_or_none(function.parameters)
    schema = _NO_ARGUMENTS if sent is None else sent or _ANY_ARGUMENTS
    if schema.get("type", "object") != "object":
        raise RequestError(
            f"the type of a tool's parameters must be object, not {schema['type']!r}",
            param=f"tools[{index}].function.parameters.type",
            code="invalid_schema",
        )
    description = value_or_none(function.description)
    return OfferedTool(
        position=index,
        name=function.name,
        description=description,
        parameters={**schema, "type": "object"},
        definition=_definition(function.name, description or "", sent or {}),
    )


def _definition(name: str, description: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    missing = {key: value for key, value in _ANY_ARGUMENTS.items() if key not in parameters}
    function = {"name": name, "description": description, "parameters": {**parameters, **missing}}
    return {"type": "function", "function": function}


def _check_names(tools: Sequence[OfferedTool]) -> None:
    seen: set[str] = set()
    for tool in tools:
        if tool.name in seen:
            raise RequestError(
                f"there are two tools with the name {tool.name!r}",
                param=f"tools[{tool.position}].function.name",
                code="conflict",
            )
        seen.add(tool.name)


def _chosen(name: str, tools: Iterable[OfferedTool]) -> OfferedTool:
    by_name = {tool.name: tool for tool in tools}
    if name not in by_name:
        raise RequestError(
            f"tool_choice names {name!r}, which is not one of the tools: {', '.join(by_name)}",
            param="tool_choice.function.name",
            code="unknown_value",
        )
    return by_name[name]
