"""The system text that tells a model of tools where its template has no place for them."""

import json
from collections.abc import Sequence

from friendli_endpoint.chat.tools.family import ToolSpec

__all__ = ["prompt"]


def prompt(tools: Sequence[ToolSpec], form: str) -> str:
    """What tools there are, one JSON object a line, and how they are called.

    Args:
        tools: The tools.
        form: A call in the family's form, with placeholders in capitals.
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
    told = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **told, "parameters": tool.parameters}
