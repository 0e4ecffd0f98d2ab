"""The system prompt that explains tools to a model whose template does not support them."""

import json
from collections.abc import Sequence

from friendli_endpoint.chat.tools.family import ToolSpec

__all__ = ["prompt"]


def prompt(tools: Sequence[ToolSpec], form: str) -> str:
    """Returns a prompt with the tools, one JSON object a line, and the format of a call.

    Args:
        tools: The tools.
        form: A call in the family's format, with placeholders in capitals.
    """
    offered = "\n".join(json.dumps(_described(tool), ensure_ascii=False) for tool in tools)
    return (
        "You may call functions to help with the user's request. These are the functions, with "
        "JSON schemas of their arguments:\n"
        f"{offered}\n\n"
        "To call a function, answer in exactly this form:\n"
        f"{form}\n\n"
        "Put the function's name and its arguments in place of the words in capitals. Call only "
        "functions that are listed. Where no function is needed, answer in words."
    )


def _described(tool: ToolSpec) -> dict[str, object]:
    description = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **description, "parameters": tool.parameters}
