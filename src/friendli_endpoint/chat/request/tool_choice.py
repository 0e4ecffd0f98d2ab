"""The tools of a request: which may be called, and whether one must be."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from friendli.models import ChatCompleteBodyToolChoice, DedicatedChatCompletionBody, Tool
from friendli_endpoint.chat.request.chat_request import OfferedTool
from friendli_endpoint.chat.request.given import given
from friendli_endpoint.generation import RequestError

__all__ = ["ToolChoice", "tool_choice"]

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """The tools of a request, and which may be called.

    Attributes:
        offered: The tools of the request.
        tools: Those that may be called; empty where none may be.
        required: Whether the answer must be calls.
        parallel: Whether it may be several.
    """

    offered: tuple[OfferedTool, ...]
    tools: tuple[OfferedTool, ...]
    required: bool
    parallel: bool


def tool_choice(body: DedicatedChatCompletionBody) -> ToolChoice:
    """The tools that a request lets the model call.

    Raises:
        RequestError: A name is invalid, is used twice, or is chosen without being offered; or the
            arguments of a tool are not an object.
    """
    tools = tuple(_offered(index, tool) for index, tool in enumerate(given(body.tools) or ()))
    _check_names(tools)
    choice = given(body.tool_choice) or "auto"
    parallel = given(body.parallel_tool_calls) is not False
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
    schema: dict[str, Any] = function.parameters or {"properties": {}}
    if schema.get("type", "object") != "object":
        raise RequestError(
            f"arguments are an object, so the type must be object, not {schema['type']!r}",
            param=f"tools[{index}].function.parameters.type",
            code="invalid_schema",
        )
    return OfferedTool(
        position=index,
        name=function.name,
        description=given(function.description),
        parameters={**schema, "type": "object"},
        definition=tool.model_dump(),
    )


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
