"""The rules of a request, as tables: which values and combinations of parameters are served.

Whatever is not allowed is refused here, before any work: with the field's name, and with the values
it may have.
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
from friendli_endpoint.chat.request.given import given, given_fields
from friendli_endpoint.generation import RequestError

__all__ = [
    "FIELDS_WITHOUT_EFFECT",
    "Limits",
    "check_body",
    "check_prompt_bytes",
    "check_prompt_tokens",
]

FIELDS_WITHOUT_EFFECT = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    }
)
"""Fields of other servers that are accepted though they change nothing here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that the operator sets on one request.

    Attributes:
        choices: Maximum number of choices (`n`).
        tools: Maximum number of tools.
        stops: Maximum number of stop strings.
        stop_length: Maximum number of characters of a stop string.
    """

    choices: int = 128
    tools: int = 1024
    stops: int = 64
    stop_length: int = 1024


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
"""Field to what its value must satisfy, and the same in words."""

_EXCLUDES: tuple[tuple[str, str], ...] = (
    ("min_tokens", "tools"),
    ("min_tokens", "response_format"),
    ("response_format", "tools"),
)
"""Pairs of fields that cannot be given together."""

_NEEDS: tuple[tuple[str, str, str], ...] = (
    ("stream_options", "stream", "true"),
    ("top_logprobs", "logprobs", "true"),
)
"""Field, the field that must be true beside it, and the word for that."""

_TOOL_CHOICES = ("none", "auto", "required")

_TEMPLATE_VARIABLES = ("messages", "tools", "add_generation_prompt")
"""Variables of a chat template that `chat_template_kwargs` may not set."""


def check_body(body: DedicatedChatCompletionBody, limits: Limits) -> None:
    """Refuses what the rules do not allow.

    Args:
        body: The body of the request, of valid types.
        limits: The operator's bounds.

    Raises:
        RequestError: With the field's name and the values it may have.
    """
    for name in body.model_extra or ():
        if name not in FIELDS_WITHOUT_EFFECT:
            raise RequestError(f"unknown field {name!r}", param=name, code="unknown_field")
    for name, (allowed, words) in _RANGES.items():
        value = given(getattr(body, name))
        if value is not None and not allowed(value):
            raise RequestError(_out_of_range(name, value, words), param=name, code="out_of_range")
    _check_combinations(body)
    _check_counts(body, limits)
    _check_messages(body.messages)
    for name in _TEMPLATE_VARIABLES:
        if name in (given(body.chat_template_kwargs) or ()):
            raise RequestError(
                f"chat_template_kwargs may not set {name}",
                param=f"chat_template_kwargs.{name}",
                code="conflict",
            )


def check_prompt_bytes(text: str, max_bytes: int, context: int, param: str) -> None:
    """Refuses a text that no prompt could hold: to tokenise it would take long.

    Args:
        text: The text.
        max_bytes: Bytes of the longest token times the context.
        context: Tokens that a prompt and its answer may have together.
        param: The field that the text comes from.

    Raises:
        RequestError: It has more bytes than that.
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
    """Refuses a prompt that leaves no room for the answer.

    Args:
        num_tokens: Tokens of the prompt.
        context: Tokens that prompt and answer may have together.
        min_tokens: Tokens that the answer must have.

    Raises:
        RequestError: There is no room for a token, or for so many.
    """
    room = context - num_tokens
    if room < 1:
        raise RequestError(
            f"the prompt has {num_tokens} tokens; the context of {context} "
            "must hold them and at least one more",
            param="messages",
            code="context_length_exceeded",
        )
    if min_tokens > room:
        raise RequestError(
            f"min_tokens must be at most {room}, the room that the prompt leaves",
            param="min_tokens",
            code="out_of_range",
        )


def _out_of_range(name: str, value: object, words: str) -> str:
    shown = f", not {value!r}" if isinstance(value, int | float) and abs(value) < math.inf else ""
    return f"{name} must be {words}{shown}"


def _check_combinations(body: DedicatedChatCompletionBody) -> None:
    asked = given_fields(body)
    for name, other in _EXCLUDES:
        if name in asked and other in asked:
            raise RequestError(
                f"{name} cannot be used together with {other}", param=name, code="conflict"
            )
    for name, other, word in _NEEDS:
        if name in asked and not given(getattr(body, other)):
            raise RequestError(
                f"{name} can only be used with {other}: {word}", param=name, code="conflict"
            )
    choice = None if isinstance(body.tool_choice, Unset) else body.tool_choice
    _check_tool_choice(choice, "tools" in asked)
    max_tokens, alias = given(body.max_tokens), given(body.max_completion_tokens)
    if max_tokens is not None and alias is not None and max_tokens != alias:
        raise RequestError(
            "max_completion_tokens is another name of max_tokens: give one, or the same number",
            param="max_completion_tokens",
            code="conflict",
        )
    bound = max_tokens if max_tokens is not None else alias
    if bound is not None and (given(body.min_tokens) or 0) > bound:
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
            "tool_choice can only be none or auto where no tools are given",
            param="tool_choice",
            code="conflict",
        )


def _check_counts(body: DedicatedChatCompletionBody, limits: Limits) -> None:
    choices = given(body.n) or 1
    if choices > limits.choices:
        raise RequestError(
            f"n must be at most {limits.choices}, not {choices}", param="n", code="out_of_range"
        )
    tools = given(body.tools) or ()
    if len(tools) > limits.tools:
        raise RequestError(
            f"there may be at most {limits.tools} tools, not {len(tools)}",
            param="tools",
            code="out_of_range",
        )
    seed = given(body.seed)
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
    if len(stops) > limits.stops:
        raise RequestError(
            f"stop must be at most {limits.stops} strings, not {len(stops)}",
            param="stop",
            code="out_of_range",
        )
    for index, text in enumerate(stops):
        if not 1 <= len(text) <= limits.stop_length:
            raise RequestError(
                f"a stop string must have 1 to {limits.stop_length} characters, not {len(text)}",
                param="stop" if isinstance(stop, str) else f"stop[{index}]",
                code="out_of_range",
            )


def _check_messages(messages: Iterable[Message]) -> None:
    called: set[str] = set()
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        called.update(call.id for call in given(getattr(message, "tool_calls", None)) or ())
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
                    f"this model takes text only, no part of type {part.type!r}",
                    param=f"{path}.content[{number}]",
                    code="unsupported_content",
                )
