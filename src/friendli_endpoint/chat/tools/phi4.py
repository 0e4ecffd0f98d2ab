"""Phi-4-mini: a JSON list of calls between `<|tool_call|>` and `<|/tool_call|>`.

The model's own template contains neither of them, but the tags of the tools in the system message.
"""

from friendli_endpoint.chat.tools.json_list import JsonList

__all__ = ["Phi4"]

_OFFERED = "<|/tool|>"
_CLOSING = "<|/tool_call|>"


class Phi4(JsonList):
    """The family of Phi-4-mini."""

    def __init__(self) -> None:
        super().__init__("phi4", "<|tool_call|>", _CLOSING)

    def recognises(self, template: str) -> bool:
        """Recognises the tag that ends the offered tools, or the one that ends the calls."""
        return _OFFERED in template or _CLOSING in template
