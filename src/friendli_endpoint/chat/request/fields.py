"""The fields of a body that have an effect.

A parameter that is null counts as absent; so do values without effect, such as `tools: []`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from friendli.models import DedicatedChatCompletionBody, ResponseFormatText
from friendli.types import Unset

__all__ = ["effective_fields", "value_or_none"]

T = TypeVar("T")

_HAS_NO_EFFECT: dict[str, Callable[[Any], bool]] = {
    "tools": lambda value: value == [],
    "stop": lambda value: value == [],
    "eos_token": lambda value: value == [],
    "logit_bias": lambda value: value == {},
    "min_tokens": lambda value: value == 0,
    "response_format": lambda value: isinstance(value, ResponseFormatText),
    "chat_template_kwargs": lambda value: value == {},
}
"""By field: whether a value counts as absent."""


def value_or_none(value: T | Unset | None) -> T | None:
    """Returns a field's value; None if it is absent or null."""
    return None if isinstance(value, Unset) else value


def effective_fields(body: DedicatedChatCompletionBody) -> frozenset[str]:
    """Returns the names of the fields that have an effect."""
    return frozenset(
        name
        for name in type(body).model_fields
        if (value := value_or_none(getattr(body, name))) is not None
        and not (name in _HAS_NO_EFFECT and _HAS_NO_EFFECT[name](value))
    )
