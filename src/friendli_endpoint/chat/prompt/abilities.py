"""Capabilities of a chat template, from the names it reads and the text it renders."""

from collections.abc import Iterator, Sequence
from typing import Any

from jinja2 import meta, nodes

from friendli_endpoint.chat.prompt.exchanges import with_calls
from friendli_endpoint.chat.prompt.history_form import HistoryForm
from friendli_endpoint.chat.prompt.probe import Probe, find_form
from friendli_endpoint.chat.prompt.probe_conversations import (
    ANSWERED,
    PROBE_TOOL,
    PROBE_USER,
)
from friendli_endpoint.chat.prompt.recognition import family_of
from friendli_endpoint.chat.prompt.template import ChatTemplate, syntax_tree
from friendli_endpoint.chat.tools import DEFAULT_FAMILY, Family

__all__ = ["TemplateAbilities"]

Message = dict[str, Any]

_SYSTEM: Message = {"role": "system", "content": "probesystem"}
_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking", "tool_plan")


class TemplateAbilities:
    """Capabilities of a chat template, from the names it reads and the text it renders.

    Args:
        source: The template, in Jinja.
        family: The format of calls; None for that of the template.

    Attributes:
        tools: Whether it reads the tools of the request.
        calls: Whether it reads the tool calls of earlier answers.
        effort: Whether it reads `reasoning_effort`.
        system: Whether it renders a system message.
        system_after_results: Whether it also does in a conversation that ends with a result.
        no_tools: Value of `tools` in a request without tools: None, or an empty list for a
            template that renders nothing with None.
        call_text: Returns calls in the format of the family.

    Raises:
        ChatTemplateError: The template does not compile.
    """

    def __init__(self, source: str, family: Family | None = None) -> None:
        tree = syntax_tree(source)
        variables = meta.find_undeclared_variables(tree)
        keys = set(_keys(tree))
        self.tools = "tools" in variables
        self.calls = "tool_calls" in keys
        self.effort = "reasoning_effort" in variables
        self.call_text = (family or family_of(source) or DEFAULT_FAMILY).call_text
        probe = Probe(ChatTemplate(source, {"bos_token": "", "eos_token": ""}))
        self.no_tools = _no_tools(probe)

        def shows_system(messages: Sequence[Message]) -> bool:
            if probe.render(messages, self.no_tools) is None:
                return True  # the template's own error reaches the client
            return _SYSTEM["content"] in (probe.render([_SYSTEM, *messages], self.no_tools) or "")

        def form(tools: list[Any] | None) -> HistoryForm:
            return find_form(
                lambda messages: probe.render(messages, tools),
                self.call_text,
                reads_calls=self.calls,
                reasoning_key=next((k for k in _REASONING_KEYS if k in keys), _REASONING_KEYS[0]),
            )

        self._without_tools = self._with_tools = form(self.no_tools)
        if self.tools and probe.render([PROBE_USER], [PROBE_TOOL]) is not None:
            self._with_tools = form([PROBE_TOOL])
        self.system = shows_system([PROBE_USER])
        self.system_after_results = shows_system(
            with_calls(ANSWERED, self._without_tools, self.call_text)
        )

    def form(self, has_tools: bool) -> HistoryForm:
        """Returns the form of earlier calls and their results.

        Args:
            has_tools: Whether the request has tools that may be called.
        """
        return self._with_tools if has_tools else self._without_tools


def _no_tools(probe: Probe) -> list[Any] | None:
    rendered = probe.render([PROBE_USER], None) is not None
    return None if rendered or probe.render([PROBE_USER], []) is None else []


def _keys(tree: nodes.Template) -> Iterator[str]:
    """Yields the keys that a template may look up: attribute names and constants."""
    yield from (node.attr for node in tree.find_all(nodes.Getattr))
    values = (node.value for node in tree.find_all(nodes.Const))
    yield from (value for value in values if isinstance(value, str))
