"""Messages as chat templates expect them: plain text, and calls in the form the template takes.

Templates differ in what they support; `HistoryForm` says how. For a template without tools, the
system message explains them. For a template without system messages, the system text is put before
the first user message.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from friendli.models import Message as WireMessage
from friendli_endpoint.chat.prompt.abilities import TemplateAbilities
from friendli_endpoint.chat.prompt.exchanges import with_calls
from friendli_endpoint.chat.prompt.past_calls import PastCall
from friendli_endpoint.chat.tools.toolbox import Toolbox

__all__ = ["messages_for"]

Message = dict[str, Any]

_NOT_FOR_TEMPLATES = {"prefix", "partial"}
"""Fields of messages about the end of the prompt, which is cut after rendering."""


def messages_for(
    abilities: TemplateAbilities, messages: Sequence[WireMessage], toolbox: Toolbox | None
) -> list[Message]:
    """Prepares the conversation for a template.

    Args:
        abilities: Capabilities of the template.
        messages: The messages of the request.
        toolbox: The tools that may be called, or None.

    Raises:
        RequestError: The template cannot write the arguments of a call; names the call.
    """
    prepared = [
        _prepare(message.model_dump(exclude=_NOT_FOR_TEMPLATES), index)
        for index, message in enumerate(messages)
    ]
    if toolbox is not None and not abilities.tools:
        prepared = _with_tool_prompt(prepared, toolbox.family.fallback_prompt(toolbox.specs))
    prepared = with_calls(prepared, abilities.form(toolbox is not None), abilities.call_text)
    if prepared[0]["role"] == "system":
        if not abilities.system:
            return _with_system_in_user_message(prepared[0]["content"], prepared[1:], first=True)
        if not abilities.system_after_results and prepared[-1]["role"] == "tool":
            return _with_system_in_user_message(prepared[0]["content"], prepared[1:], first=False)
    return prepared


def _with_tool_prompt(messages: list[Message], prompt: str) -> list[Message]:
    """Adds a prompt about tools to the system message, or adds a system message."""
    first = messages[0]
    if first["role"] != "system":
        return [{"role": "system", "content": prompt}, *messages]
    return [{**first, "content": f"{first['content']}\n\n{prompt}".strip()}, *messages[1:]]


def _with_system_in_user_message(system: str, rest: list[Message], *, first: bool) -> list[Message]:
    """Puts the system text before a user message, or adds one at the start.

    Args:
        system: The system text.
        rest: The other messages.
        first: Whether it is the user message at the start, or else the last one.
    """
    candidates = range(len(rest))[:1] if first else reversed(range(len(rest)))
    index = next((i for i in candidates if rest[i]["role"] == "user"), None)
    if index is None:
        return [{"role": "user", "content": system}, *rest]
    changed = {**rest[index], "content": f"{system}\n\n{rest[index]['content']}"}
    return [*rest[:index], changed, *rest[index + 1 :]]


def _prepare(message: Mapping[str, Any], index: int) -> Message:
    """Returns a message with its content as text, its calls as `PastCall`s, and without nulls."""
    prepared = {name: value for name, value in message.items() if value is not None}
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(part["text"] for part in content)
    prepared["content"] = content or ""
    if prepared["role"] == "developer":
        prepared["role"] = "system"
    calls = prepared.pop("tool_calls", ())
    if calls:  # an empty list would make an answer without calls one with calls (Mistral)
        prepared["tool_calls"] = [
            PastCall.of(call, f"messages[{index}].tool_calls[{number}]")
            for number, call in enumerate(calls)
        ]
    return prepared
