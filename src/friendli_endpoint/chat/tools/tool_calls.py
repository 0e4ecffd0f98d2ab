"""Apriel and Hunyuan A13B: a JSON list of calls between `<tool_calls>` and `</tool_calls>`."""

from friendli_endpoint.chat.tools.json_list import JsonList

__all__ = ["TOOL_CALLS"]

TOOL_CALLS = JsonList("tool_calls", "<tool_calls>", "</tool_calls>", requires="<tool_calls>[")
"""The family of Apriel and Hunyuan A13B; MiniMax M1 has one object a line between these tags."""
