"""Calls of the history, written out in a family's format for templates that do not write them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["WrittenCall", "arguments_text", "call_objects", "keywords_text", "parameter_texts"]


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call of an earlier answer.

    Attributes:
        name: Name of the tool.
        arguments: The arguments; text as it was sent if it is not a JSON object.
    """

    name: str
    arguments: dict[str, Any] | str


def arguments_text(call: WrittenCall) -> str:
    """Returns the arguments of a call as JSON, or as they were sent."""
    return call.arguments if isinstance(call.arguments, str) else _json(call.arguments)


def call_objects(calls: Iterable[WrittenCall], key: str) -> list[str]:
    """Returns calls as JSON objects with a name and arguments.

    Args:
        calls: The calls.
        key: The family's key of the arguments.
    """
    return [
        f'{{"name": {_json(call.name)}, {_json(key)}: {arguments_text(call)}}}' for call in calls
    ]


def parameter_texts(call: WrittenCall) -> list[tuple[str, str]] | None:
    """Returns the arguments one by one: a name, and a string as it is or any other value as JSON.

    Returns:
        None if the arguments are not an object.
    """
    if isinstance(call.arguments, str):
        return None
    return [
        (name, value if isinstance(value, str) else _json(value))
        for name, value in call.arguments.items()
    ]


def keywords_text(call: WrittenCall) -> str:
    """Returns the arguments of a call as Python keyword arguments, or as they were sent."""
    if isinstance(call.arguments, str):
        return call.arguments
    return ", ".join(f"{name}={_python(value)}" for name, value in call.arguments.items())


def _python(value: object) -> str:
    """Returns a value as Python: only at the top, since nested JSON is what the models write."""
    return str(value) if value is None or isinstance(value, bool) else _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
