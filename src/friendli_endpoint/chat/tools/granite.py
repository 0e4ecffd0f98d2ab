"""Granite 3: `<|tool_call|>` and a JSON list of calls; Granite 4 writes calls like Hermes.

Granite 3.1 often writes `<tool_call>` instead of the control token.
"""

from friendli_endpoint.chat.tools.json_list import JsonList

__all__ = ["GRANITE"]

GRANITE = JsonList("granite", "<|tool_call|>", also=("<tool_call>",), requires="<|start_of_role|>")
"""The family of Granite 3.0 to 3.3."""
