"""Capabilities of a chat template, from the names it reads and the text it renders."""

from collections.abc import Iterator
from typing import Any

from jinja2 import meta, nodes

from friendli_endpoint.chat.prompt.template import ChatTemplate, syntax_tree
from friendli_endpoint.generation import RequestError

__all__ = ["TemplateAbilities"]

Message = dict[str, Any]

_USER_MESSAGE: Message = {"role": "user", "content": "q"}
_SYSTEM_TEXT = "systemtext"
_RESULT_TEXT = "resulttext"
_PROBE_CALL = {
    "id": "call00001",
    "type": "function",
    "function": {"name": "f", "arguments": {"a": 1}},
}


class TemplateAbilities:
    """Capabilities of a chat template, from the names it reads and the text it renders.

    Args:
        source: The template, in Jinja.

    Attributes:
        tools: Whether it reads the tools of the request.
        calls: Whether it reads the tool calls of earlier answers.
        effort: Whether it reads `reasoning_effort`.
        system: Whether it renders a system message.
        results: Whether it renders the results of tool calls.

    Raises:
        ChatTemplateError: The template does not compile.
    """

    def __init__(self, source: str) -> None:
        tree = syntax_tree(source)
        variables = meta.find_undeclared_variables(tree)
        self.tools = "tools" in variables
        self.calls = any(key == "tool_calls" for key in _keys(tree))
        self.effort = "reasoning_effort" in variables
        answer: Message = {"role": "assistant", "content": "c"}
        if self.calls:
            answer = {**answer, "content": "", "tool_calls": [_PROBE_CALL]}
        result = {"role": "tool", "tool_call_id": _PROBE_CALL["id"], "content": _RESULT_TEXT}
        renders = _Probe(source).renders
        self.system = renders(
            [{"role": "system", "content": _SYSTEM_TEXT}, _USER_MESSAGE], _SYSTEM_TEXT
        )
        self.results = renders([_USER_MESSAGE, answer, result], _RESULT_TEXT)


class _Probe:
    """Renders conversations to find which messages a template renders.

    A template that fails on every conversation counts as capable; its error reaches the client.
    """

    def __init__(self, source: str) -> None:
        self._template = ChatTemplate(source, {"bos_token": "", "eos_token": ""})

    def renders(self, messages: list[Message], text: str) -> bool:
        """Whether the prompt contains a text, or no prompt can be rendered at all."""
        return text in (self._render(messages) or "") or self._render([_USER_MESSAGE]) is None

    def _render(self, messages: list[Message]) -> str | None:
        try:
            return self._template.render(messages, {})
        except RequestError:
            return None


def _keys(tree: nodes.Template) -> Iterator[object]:
    """Yields the keys that a template may look up: attribute names and constants."""
    yield from (node.attr for node in tree.find_all(nodes.Getattr))
    yield from (node.value for node in tree.find_all(nodes.Const))
