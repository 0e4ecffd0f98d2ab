"""The fields of a body that ask for something.

A parameter that is null counts as absent; so do values that ask for nothing, such as `tools: []`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from friendli.models import DedicatedChatCompletionBody, ResponseFormatText
from friendli.types import Unset

__all__ = ["given", "given_fields"]

T = TypeVar("T")

_ASKS_NOTHING: dict[str, Callable[[Any], bool]] = {
    "tools": lambda value: value == [],
    "stop": lambda value: value == [],
    "eos_token": lambda value: value == [],
    "logit_bias": lambda value: value == {},
    "min_tokens": lambda value: value == 0,
    "response_format": lambda value: isinstance(value, ResponseFormatText),
    "chat_template_kwargs": lambda value: value == {},
}
"""Field to the value that counts as absent."""


def given(value: T | Unset | None) -> T | None:
    """A field's value; None where it is absent or null."""
    return None if isinstance(value, Unset) else value


def given_fields(body: DedicatedChatCompletionBody) -> frozenset[str]:
    """Names of the fields that ask for something."""
    return frozenset(
        name
        for name in type(body).model_fields
        if (value := given(getattr(body, name))) is not None
        and not (name in _ASKS_NOTHING and _ASKS_NOTHING[name](value))
    )
