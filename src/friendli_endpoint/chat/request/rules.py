"""Which values and combinations of the parameters are served, as tables, checked before any work.

A parameter that is null counts as absent; so do, in the rules about combinations, the values that
ask for nothing.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from friendli_endpoint.generation import Refusal

__all__ = ["FIELDS_WITHOUT_EFFECT", "Limits", "Values", "check", "given"]

Values = Mapping[str, Any]
"""The request's fields that are given, as plain JSON values."""

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
    """Bounds that the operator sets.

    Attributes:
        choices: Most choices (`n`) of one request.
        messages: Most messages of one request.
        tools: Most tools of one request.
        stops: Most stop strings of one request.
        stop_length: Most characters of a stop string.
    """

    choices: int = 128
    messages: int = 2048
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

_ASKS_NOTHING: dict[str, Check] = {
    "tools": lambda v: v == [],
    "stop": lambda v: v == [],
    "eos_token": lambda v: v == [],
    "logit_bias": lambda v: v == {},
    "min_tokens": lambda v: v == 0,
    "response_format": lambda v: v.get("type") == "text",
    "chat_template_kwargs": lambda v: v == {},
}
"""Field to the value that counts as absent."""

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


def given(values: Values) -> dict[str, Any]:
    """The fields that count as given: not null, and asking for something."""
    return {
        name: value
        for name, value in values.items()
        if value is not None and not (name in _ASKS_NOTHING and _ASKS_NOTHING[name](value))
    }


def check(values: Values, unknown: Iterable[str], limits: Limits) -> None:
    """Refuses what the rules do not allow.

    Args:
        values: The fields that are not null.
        unknown: Names of top-level fields that the interface does not have.
        limits: The operator's bounds.

    Raises:
        Refusal: With the field's name and the values it may have.
    """
    for name in unknown:
        if name not in FIELDS_WITHOUT_EFFECT:
            raise Refusal(f"unknown field {name!r}", param=name, code="unknown_field")
    for name, (allowed, words) in _RANGES.items():
        if name in values:
            value = values[name]
            if not allowed(value):
                raise Refusal(_out_of_range(name, value, words), param=name, code="out_of_range")
    asked = given(values)
    _check_combinations(asked)
    _check_counts(asked, limits)
    if len(values["messages"]) > limits.messages:
        raise Refusal(
            f"there may be at most {limits.messages} messages, not {len(values['messages'])}",
            param="messages",
            code="out_of_range",
        )
    _check_messages(values["messages"])


def _out_of_range(name: str, value: object, words: str) -> str:
    shown = f", not {value!r}" if isinstance(value, int | float) and abs(value) < math.inf else ""
    return f"{name} must be {words}{shown}"


def _check_combinations(asked: Values) -> None:
    for name, other in _EXCLUDES:
        if name in asked and other in asked:
            raise Refusal(
                f"{name} cannot be used together with {other}", param=name, code="conflict"
            )
    for name, other, word in _NEEDS:
        if name in asked and not asked.get(other):
            raise Refusal(
                f"{name} can only be used with {other}: {word}", param=name, code="conflict"
            )
    choice = asked.get("tool_choice")
    if isinstance(choice, str) and choice not in _TOOL_CHOICES:
        raise Refusal(
            f"tool_choice must be {', '.join(_TOOL_CHOICES)}, or name a function, not {choice!r}",
            param="tool_choice",
            code="unknown_value",
        )
    if choice is not None and "tools" not in asked and choice not in ("none", "auto"):
        raise Refusal(
            "tool_choice can only be none or auto where no tools are given",
            param="tool_choice",
            code="conflict",
        )
    long, short = asked.get("max_tokens"), asked.get("max_completion_tokens")
    if long is not None and short is not None and long != short:
        raise Refusal(
            "max_completion_tokens is another name of max_tokens: give one, or the same number",
            param="max_completion_tokens",
            code="conflict",
        )
    most = long if long is not None else short
    if most is not None and asked.get("min_tokens", 0) > most:
        raise Refusal(
            f"min_tokens must be at most max_tokens, {most}", param="min_tokens", code="conflict"
        )


def _check_counts(asked: Values, limits: Limits) -> None:
    choices = asked.get("n", 1)
    if choices > limits.choices:
        raise Refusal(
            f"n must be at most {limits.choices}, not {choices}", param="n", code="out_of_range"
        )
    tools = asked.get("tools", [])
    if len(tools) > limits.tools:
        raise Refusal(
            f"there may be at most {limits.tools} tools, not {len(tools)}",
            param="tools",
            code="out_of_range",
        )
    seed = asked.get("seed")
    if isinstance(seed, list) and len(seed) != choices:
        raise Refusal(
            f"seed must be a number or a list of exactly n = {choices} numbers, not {len(seed)}",
            param="seed",
            code="conflict",
        )
    stop = asked.get("stop", [])
    stops = [stop] if isinstance(stop, str) else stop
    if len(stops) > limits.stops:
        raise Refusal(
            f"stop must be at most {limits.stops} strings, not {len(stops)}",
            param="stop",
            code="out_of_range",
        )
    for index, text in enumerate(stops):
        if not 1 <= len(text) <= limits.stop_length:
            raise Refusal(
                f"a stop string must have 1 to {limits.stop_length} characters, not {len(text)}",
                param="stop" if isinstance(stop, str) else f"stop[{index}]",
                code="out_of_range",
            )


def _check_messages(messages: list[dict[str, Any]]) -> None:
    called: set[str] = set()
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        called.update(call["id"] for call in message.get("tool_calls") or ())
        if message["role"] == "tool" and message["tool_call_id"] not in called:
            raise Refusal(
                f"no earlier message calls a tool with the id {message['tool_call_id']!r}",
                param=f"{path}.tool_call_id",
                code="unknown_value",
            )
        content = message.get("content")
        for number, part in enumerate(content if isinstance(content, list) else ()):
            if part["type"] != "text":
                raise Refusal(
                    f"this model takes text only, no part of type {part['type']!r}",
                    param=f"{path}.content[{number}]",
                    code="unsupported_content",
                )
