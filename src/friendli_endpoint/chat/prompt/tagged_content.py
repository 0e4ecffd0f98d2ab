"""Reasoning tags in the content of an unfinished message.

A response without `parse_reasoning` has its reasoning in the content, with tags. Where such a
message is continued, the tags say whether it ends in the reasoning or in the answer.
"""

from dataclasses import replace
from typing import Any

from friendli_endpoint.chat.reasoning.styles import ReasoningStyle
from friendli_endpoint.chat.request.continuation import Continuation

__all__ = ["separate_reasoning"]

Message = dict[str, Any]


def separate_reasoning(
    messages: list[Message], continuation: Continuation, style: ReasoningStyle | None
) -> tuple[list[Message], Continuation]:
    """Moves reasoning from the content of the last message to its `reasoning_content`.

    Args:
        messages: Messages as the template expects them, at least one.
        continuation: The text of the last message that the answer continues.
        style: The model's reasoning tags, or None.
    """
    *before, last = messages
    text = continuation.text.lstrip()
    if (
        style is None
        or continuation.field != "content"
        or last.get("reasoning_content")
        or not text.startswith(style.open)
    ):
        return messages, continuation
    reasoning, closing, answer = text.removeprefix(style.open).partition(style.close)
    if closing:
        answer = answer.lstrip()
        last = {**last, "content": answer, "reasoning_content": reasoning.strip()}
        return [*before, last], replace(continuation, text=answer)
    reasoning = reasoning.lstrip()
    last = {**last, "content": "", "reasoning_content": reasoning}
    return [*before, last], replace(continuation, field="reasoning_content", text=reasoning)
