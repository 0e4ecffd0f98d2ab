"""Messages as chat templates expect them: plain text, calls with their arguments as objects.

Templates differ in what they know. One that knows nothing of tools gets them explained in the
system message, earlier calls written out as the model would write them, and results as text.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jinja2 import meta, nodes
from pydantic_core import from_json

from friendli_endpoint.chat.template import syntax_tree
from friendli_endpoint.chat.toolbox import Toolbox

__all__ = ["TemplateAbilities", "messages_for"]

Message = dict[str, Any]


class TemplateAbilities:
    """What a chat template has a place for: what its expressions read, not what its text says.

    Args:
        source: The template, in Jinja.

    Attributes:
        tools: It reads the tools that are offered.
        calls: It reads the calls of earlier answers.
        effort: It reads `reasoning_effort`.

    Raises:
        TemplateFault: The template does not compile.
    """

    def __init__(self, source: str) -> None:
        tree = syntax_tree(source)
        variables = meta.find_undeclared_variables(tree)
        self.tools = "tools" in variables
        self.calls = any(key == "tool_calls" for key in _keys(tree))
        self.effort = "reasoning_effort" in variables


def messages_for(
    abilities: TemplateAbilities, messages: Sequence[Mapping[str, Any]], toolbox: Toolbox | None
) -> list[Message]:
    """The conversation for a template.

    Args:
        abilities: What the template has a place for.
        messages: Messages as plain JSON values.
        toolbox: The tools that are offered, if any.
    """
    plain = [_plain(message, abilities.calls) for message in messages]
    if toolbox is None or abilities.tools:
        return plain
    told = toolbox.family.fallback_prompt(toolbox.tools)
    if plain[0]["role"] == "system":
        first = {**plain[0], "content": f"{plain[0]['content']}\n\n{told}".strip()}
        return [first, *plain[1:]]
    return [{"role": "system", "content": told}, *plain]


def _keys(tree: nodes.Template) -> Iterator[object]:
    """What the expressions of a template may look up: attributes by name, items by constants."""
    yield from (node.attr for node in tree.find_all(nodes.Getattr))
    yield from (node.value for node in tree.find_all(nodes.Const))


def _plain(message: Mapping[str, Any], calls_known: bool) -> Message:
    plain = {name: value for name, value in message.items() if value is not None}
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(part["text"] for part in content)
    plain["content"] = content or ""
    if plain["role"] == "developer":
        plain["role"] = "system"
    calls = [_call(each) for each in message.get("tool_calls") or ()]
    if calls and not calls_known:
        del plain["tool_calls"]
        plain["content"] = "\n".join(filter(None, (plain["content"], *map(_written, calls))))
    elif calls:
        plain["tool_calls"] = calls
    return plain


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    """A call with its arguments as an object, which is what templates write out as JSON."""
    arguments = call["function"]["arguments"]
    try:
        read = from_json(arguments)  # bounds the nesting, which what renders it relies on
    except ValueError:
        read = arguments
    return {**call, "function": {**call["function"], "arguments": read}}


def _written(call: Mapping[str, Any]) -> str:
    """A call in the form of the default family, whose prompt explains it."""
    function = call["function"]
    body = {"name": function["name"], "arguments": function["arguments"]}
    return f"<tool_call>\n{json.dumps(body, ensure_ascii=False)}\n</tool_call>"
