"""What a chat template has a place for: by what its expressions read, and by what it shows."""

from collections.abc import Iterator
from typing import Any

from jinja2 import meta, nodes

from friendli_endpoint.chat.prompt.template import ChatTemplate, syntax_tree
from friendli_endpoint.generation import RequestError

__all__ = ["TemplateAbilities"]

Message = dict[str, Any]

_ASKED: Message = {"role": "user", "content": "q"}
_TOLD = "systemtext"
_RESULT = "resulttext"
_PROBE_CALL = {
    "id": "call00001",
    "type": "function",
    "function": {"name": "f", "arguments": {"a": 1}},
}


class TemplateAbilities:
    """What a chat template has a place for: what its expressions read, and what it shows.

    Args:
        source: The template, in Jinja.

    Attributes:
        tools: It reads the tools that are offered.
        calls: It reads the calls of earlier answers.
        effort: It reads `reasoning_effort`.
        system: It takes a system message.
        results: It takes the results of calls.

    Raises:
        TemplateFault: The template does not compile.
    """

    def __init__(self, source: str) -> None:
        tree = syntax_tree(source)
        variables = meta.find_undeclared_variables(tree)
        self.tools = "tools" in variables
        self.calls = any(key == "tool_calls" for key in _keys(tree))
        self.effort = "reasoning_effort" in variables
        called: Message = {"role": "assistant", "content": "c"}
        if self.calls:
            called = {**called, "content": "", "tool_calls": [_PROBE_CALL]}
        result = {"role": "tool", "tool_call_id": _PROBE_CALL["id"], "content": _RESULT}
        shows = _Probe(source).shows
        self.system = shows([{"role": "system", "content": _TOLD}, _ASKED], _TOLD)
        self.results = shows([_ASKED, called, result], _RESULT)


class _Probe:
    """Renders conversations to see what a template takes; one that takes none is left to itself."""

    def __init__(self, source: str) -> None:
        self._template = ChatTemplate(source, {"bos_token": "", "eos_token": ""})

    def shows(self, messages: list[Message], text: str) -> bool:
        """Whether a text is in the prompt, or would not be in any."""
        return text in (self._rendered(messages) or "") or self._rendered([_ASKED]) is None

    def _rendered(self, messages: list[Message]) -> str | None:
        try:
            return self._template.render(messages, {})
        except RequestError:
            return None


def _keys(tree: nodes.Template) -> Iterator[object]:
    """What the expressions of a template may look up: attributes by name, items by constants."""
    yield from (node.attr for node in tree.find_all(nodes.Getattr))
    yield from (node.value for node in tree.find_all(nodes.Const))
