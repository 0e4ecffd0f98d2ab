"""Messages as chat templates expect them: plain text, calls with their arguments as objects.

Templates differ in what they know. One that knows nothing of tools gets them explained in the
system message, earlier calls written out as the model would write them, and results as the user's
words; one that knows no system message gets it at the head of the user's first.
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


def messages_for(
    abilities: TemplateAbilities, messages: Sequence[WireMessage], toolbox: Toolbox | None
) -> list[Message]:
    """The conversation for a template.

    Args:
        abilities: What the template has a place for.
        messages: The messages of the request.
        toolbox: The tools that are offered, if any.
    """
    plain = [_plain(message.model_dump(), abilities.calls) for message in messages]
    if toolbox is not None and not abilities.tools:
        plain = _explained(plain, toolbox.family.fallback_prompt(toolbox.specs))
    if not abilities.results:
        plain = _reported(plain)
    if not abilities.system and plain[0]["role"] == "system":
        plain = _folded(plain[0]["content"], plain[1:])
    return plain


def _explained(messages: list[Message], tools: str) -> list[Message]:
    """The same after a system message that tells of tools."""
    first = messages[0]
    if first["role"] != "system":
        return [{"role": "system", "content": tools}, *messages]
    return [{**first, "content": f"{first['content']}\n\n{tools}".strip()}, *messages[1:]]


def _reported(messages: list[Message]) -> list[Message]:
    """The same with the results of calls as the user's words, in one message with what follows.

    Templates without a place for results mostly ask that user and assistant alternate.
    """
    reported: list[Message] = []
    after_result = False
    for message in messages:
        is_result = message["role"] == "tool"
        if is_result:
            told = f"<tool_response>\n{message['content']}\n</tool_response>"
            message = {"role": "user", "content": told}
        if after_result and message["role"] == "user":
            told = f"{reported.pop()['content']}\n{message['content']}"
            message = {**message, "content": told}
        reported.append(message)
        after_result = is_result
    return reported


def _folded(told: str, rest: list[Message]) -> list[Message]:
    """A conversation whose first words are those of the system, as the user's."""
    if not rest or rest[0]["role"] != "user":
        return [{"role": "user", "content": told}, *rest]
    return [{**rest[0], "content": f"{told}\n\n{rest[0]['content']}"}, *rest[1:]]


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
