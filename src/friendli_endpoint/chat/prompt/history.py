"""Messages as chat templates expect them: plain text, and calls with arguments as objects.

Templates differ in what they support. For a template without tools, the system message explains
them, earlier calls are written out as the model would write them, and results become user messages.
For a template without system messages, the system text is put before the first user message.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from friendli.models import Message as WireMessage
from friendli_endpoint.chat.prompt.abilities import TemplateAbilities
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
    """
    prepared = [
        _prepare(message.model_dump(exclude=_NOT_FOR_TEMPLATES), abilities.calls)
        for message in messages
    ]
    if toolbox is not None and not abilities.tools:
        prepared = _with_tool_prompt(prepared, toolbox.family.fallback_prompt(toolbox.specs))
    if not abilities.results:
        prepared = _with_results_as_user_messages(prepared)
    if not abilities.system and prepared[0]["role"] == "system":
        prepared = _with_system_in_user_message(prepared[0]["content"], prepared[1:])
    return prepared


def _with_tool_prompt(messages: list[Message], prompt: str) -> list[Message]:
    """Adds a prompt about tools to the system message, or adds a system message."""
    first = messages[0]
    if first["role"] != "system":
        return [{"role": "system", "content": prompt}, *messages]
    return [{**first, "content": f"{first['content']}\n\n{prompt}".strip()}, *messages[1:]]


def _with_results_as_user_messages(messages: list[Message]) -> list[Message]:
    """Turns the results of calls into user messages, merged with a user message that follows.

    Most templates that do not support results require user and assistant to alternate.
    """
    converted: list[Message] = []
    after_result = False
    for message in messages:
        is_result = message["role"] == "tool"
        if is_result:
            content = f"<tool_response>\n{message['content']}\n</tool_response>"
            message = {"role": "user", "content": content}
        if after_result and message["role"] == "user":
            content = f"{converted.pop()['content']}\n{message['content']}"
            message = {**message, "content": content}
        converted.append(message)
        after_result = is_result
    return converted


def _with_system_in_user_message(system: str, rest: list[Message]) -> list[Message]:
    """Puts the system text before the first user message, or adds a user message."""
    if not rest or rest[0]["role"] != "user":
        return [{"role": "user", "content": system}, *rest]
    return [{**rest[0], "content": f"{system}\n\n{rest[0]['content']}"}, *rest[1:]]


def _prepare(message: Mapping[str, Any], supports_calls: bool) -> Message:
    prepared = {name: value for name, value in message.items() if value is not None}
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(part["text"] for part in content)
    prepared["content"] = content or ""
    if prepared["role"] == "developer":
        prepared["role"] = "system"
    calls = [_call(call) for call in message.get("tool_calls") or ()]
    if calls and not supports_calls:
        del prepared["tool_calls"]
        prepared["content"] = "\n".join(
            filter(None, (prepared["content"], *map(_call_text, calls)))
        )
    elif calls:
        prepared["tool_calls"] = calls
    return prepared


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a call with its arguments as an object, which templates render as JSON."""
    arguments = call["function"]["arguments"]
    try:
        parsed = from_json(arguments)  # limits the nesting; the renderer depends on that limit
    except ValueError:
        parsed = arguments
    return {**call, "function": {**call["function"], "arguments": parsed}}


def _call_text(call: Mapping[str, Any]) -> str:
    """Returns a call in the format of the default family, as its fallback prompt explains it."""
    function = call["function"]
    body = {"name": function["name"], "arguments": function["arguments"]}
    return f"<tool_call>\n{json.dumps(body, ensure_ascii=False)}\n</tool_call>"
