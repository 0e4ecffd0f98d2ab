"""The rules of a request, as tables: the supported values and combinations of parameters.

An invalid request is rejected here, before any work, with the field's name and its allowed values.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from friendli.models import (
    ChatCompleteBodyToolChoice,
    DedicatedChatCompletionBody,
    Message,
    TextContent,
    ToolMessage,
)
from friendli.types import Unset
from friendli_endpoint.chat.request.fields import effective_fields, value_or_none
from friendli_endpoint.generation import RequestError

__all__ = [
    "Limits",
    "check_body",
    "check_prompt_bytes",
    "check_prompt_tokens",
]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that the operator sets on one request.

    Attributes:
        max_choices: Maximum number of choices (`n`).
        max_tools: Maximum number of tools.
        max_stops: Maximum number of stop strings.
        max_stop_length: Maximum number of characters of a stop string.
    """

    max_choices: int = 128
    max_tools: int = 512
    max_stops: int = 64
    max_stop_length: int = 1024


Check = Callable[[Any], bool]

_RANGES: dict[str, tuple[Check, str]] = {
    "frequency_penalty": (lambda v: -2 <= v <= 2, "from -2 to 2"),
    "presence_penalty": (lambda v: -2 <= v <= 2, "from -2 to 2"),
    "repetition_penalty": (lambda v: 0 < v < math.inf, "above 0 and finite"),
    "temperature": (lambda v: 0 <= v < math.inf, "at least 0 and finite"),
    "top_p": (lambda v: 0 < v <= 1, "above 0 and at most 1"),
    "min_p": (lambda v: 0 <= v <= 1, "from 0 to 1"),
    "top_k": (lambda v: v >= -1, "at least 0 (0 and -1 keep all tokens)"),
    "xtc_threshold": (lambda v: 0 <= v <= 1, "from 0 to 1"),
    "xtc_probability": (lambda v: 0 <= v <= 1, "from 0 to 1"),
    "max_tokens": (lambda v: v >= 1, "at least 1"),
    "max_completion_tokens": (lambda v: v >= 1, "at least 1"),
    "min_tokens": (lambda v: v >= 0, "at least 0"),
    "top_logprobs": (lambda v: 0 <= v <= 20, "from 0 to 20"),
    "n": (lambda v: v >= 1, "at least 1"),
    "reasoning_budget": (lambda v: v >= 1, "at least 1"),
    "messages": (bool, "at least one message"),
    "model": (
        lambda v: 0 < len(v) <= 256,
        "an endpoint id, or ENDPOINT_ID:ADAPTER_ROUTE, of up to 256 characters",
    ),
}
"""By field: a check of its value, and a description of the allowed values."""

_EXCLUDES: tuple[tuple[str, str], ...] = (
    ("min_tokens", "tools"),
    ("min_tokens", "response_format"),
    ("response_format", "tools"),
)
"""Pairs of fields that cannot be used together."""

_NEEDS: tuple[tuple[str, str, str], ...] = (
    ("stream_options", "stream", "true"),
    ("top_logprobs", "logprobs", "true"),
)
"""A field, the field that it requires to be true, and the value to show in the message."""

_TOOL_CHOICES = ("none", "auto", "required")

_TEMPLATE_VARIABLES = ("messages", "tools", "add_generation_prompt", "continue_final_message")
"""Variables of a chat template that `chat_template_kwargs` may not set."""


def check_body(body: DedicatedChatCompletionBody, limits: Limits) -> None:
    """Checks a body against the rules.

    Args:
        body: The body of the request, of valid types.
        limits: The operator's limits.

    Raises:
        RequestError: A field is invalid; names the field and its allowed values.
    """
    for name, (allowed, description) in _RANGES.items():
        value = value_or_none(getattr(body, name))
        if value is not None and not allowed(value):
            raise RequestError(
                _out_of_range(name, value, description), param=name, code="out_of_range"
            )
    _check_combinations(body)
    _check_counts(body, limits)
    _check_messages(body.messages)
    for name in _TEMPLATE_VARIABLES:
        if name in (value_or_none(body.chat_template_kwargs) or ()):
            raise RequestError(
                f"chat_template_kwargs may not set {name}",
                param=f"chat_template_kwargs.{name}",
                code="conflict",
            )


def check_prompt_bytes(text: str, max_bytes: int, context: int, param: str) -> None:
    """Rejects a text that cannot fit into a prompt, because tokenizing it would take long.

    Args:
        text: The text.
        max_bytes: Maximum number of bytes: those of the longest token times the context.
        context: Maximum number of tokens of prompt and answer together.
        param: The field that the text comes from.

    Raises:
        RequestError: The text has more than `max_bytes` bytes.
    """
    size = len(text.encode())
    if size > max_bytes:
        raise RequestError(
            f"the prompt has {size:,} bytes; the context of {context} tokens "
            f"cannot hold more than {max_bytes:,}",
            param=param,
            code="context_length_exceeded",
        )


def check_prompt_tokens(num_tokens: int, context: int, min_tokens: int) -> None:
    """Rejects a prompt that leaves too few tokens of the context for the answer.

    Args:
        num_tokens: Number of tokens of the prompt.
        context: Maximum number of tokens of prompt and answer together.
        min_tokens: Minimum number of tokens of the answer.

    Raises:
        RequestError: Fewer than one token, or than `min_tokens`, remain.
    """
    remaining = context - num_tokens
    if remaining < 1:
        raise RequestError(
            f"the prompt has {num_tokens} tokens; the context of {context} "
            "must hold them and at least one more",
            param="messages",
            code="context_length_exceeded",
        )
    if min_tokens > remaining:
        raise RequestError(
            f"min_tokens must be at most {remaining}, the number of tokens that the prompt leaves",
            param="min_tokens",
            code="out_of_range",
        )


def _out_of_range(name: str, value: object, description: str) -> str:
    suffix = f", not {value!r}" if isinstance(value, int | float) and abs(value) < math.inf else ""
    return f"{name} must be {description}{suffix}"


def _check_combinations(body: DedicatedChatCompletionBody) -> None:
    used = effective_fields(body)
    for name, excluded in _EXCLUDES:
        if name in used and excluded in used:
            raise RequestError(
                f"{name} cannot be used together with {excluded}", param=name, code="conflict"
            )
    for name, needed, value in _NEEDS:
        if name in used and not value_or_none(getattr(body, needed)):
            raise RequestError(
                f"{name} can only be used with {needed}: {value}", param=name, code="conflict"
            )
    choice = None if isinstance(body.tool_choice, Unset) else body.tool_choice
    _check_tool_choice(choice, "tools" in used)
    max_tokens, alias = value_or_none(body.max_tokens), value_or_none(body.max_completion_tokens)
    if max_tokens is not None and alias is not None and max_tokens != alias:
        raise RequestError(
            "max_completion_tokens is another name of max_tokens: set one of them, or both to the "
            "same number",
            param="max_completion_tokens",
            code="conflict",
        )
    bound = max_tokens if max_tokens is not None else alias
    if bound is not None and (value_or_none(body.min_tokens) or 0) > bound:
        raise RequestError(
            f"min_tokens must be at most max_tokens, {bound}", param="min_tokens", code="conflict"
        )


def _check_tool_choice(choice: str | ChatCompleteBodyToolChoice | None, has_tools: bool) -> None:
    if isinstance(choice, str) and choice not in _TOOL_CHOICES:
        raise RequestError(
            f"tool_choice must be {', '.join(_TOOL_CHOICES)}, or name a function, not {choice!r}",
            param="tool_choice",
            code="unknown_value",
        )
    if choice is not None and not has_tools and choice not in ("none", "auto"):
        raise RequestError(
            "tool_choice must be none or auto in a request without tools",
            param="tool_choice",
            code="conflict",
        )


def _check_counts(body: DedicatedChatCompletionBody, limits: Limits) -> None:
    choices = value_or_none(body.n) or 1
    if choices > limits.max_choices:
        raise RequestError(
            f"n must be at most {limits.max_choices}, not {choices}", param="n", code="out_of_range"
        )
    tools = value_or_none(body.tools) or ()
    if len(tools) > limits.max_tools:
        raise RequestError(
            f"tools must contain at most {limits.max_tools} tools, not {len(tools)}",
            param="tools",
            code="out_of_range",
        )
    seed = value_or_none(body.seed)
    if isinstance(seed, list) and len(seed) != choices:
        raise RequestError(
            f"seed must be a number or a list of exactly n = {choices} numbers, not {len(seed)}",
            param="seed",
            code="conflict",
        )
    if body.stop is not None and not isinstance(body.stop, Unset):
        _check_stops(body.stop, limits)


def _check_stops(stop: str | list[str], limits: Limits) -> None:
    stops = [stop] if isinstance(stop, str) else stop
    if len(stops) > limits.max_stops:
        raise RequestError(
            f"stop must contain at most {limits.max_stops} strings, not {len(stops)}",
            param="stop",
            code="out_of_range",
        )
    for index, text in enumerate(stops):
        if not 1 <= len(text) <= limits.max_stop_length:
            raise RequestError(
                f"a stop string must have 1 to {limits.max_stop_length} characters, "
                f"not {len(text)}",
                param="stop" if isinstance(stop, str) else f"stop[{index}]",
                code="out_of_range",
            )


def _check_messages(messages: Iterable[Message]) -> None:
    called: set[str] = set()
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        called.update(call.id for call in value_or_none(getattr(message, "tool_calls", None)) or ())
        if isinstance(message, ToolMessage) and message.tool_call_id not in called:
            raise RequestError(
                f"no earlier message calls a tool with the id {message.tool_call_id!r}",
                param=f"{path}.tool_call_id",
                code="unknown_value",
            )
        content = message.content
        if isinstance(content, str | Unset | None):
            continue
        for number, part in enumerate(content):
            if not isinstance(part, TextContent):
                raise RequestError(
                    f"this model supports text only; a part of type {part.type!r} is not supported",
                    param=f"{path}.content[{number}]",
                    code="unsupported_content",
                )
