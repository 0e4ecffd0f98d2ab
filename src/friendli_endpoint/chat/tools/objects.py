"""Calls that are JSON objects with a name and arguments; most families frame them somehow."""

import json
from collections.abc import Sequence

from friendli_endpoint.chat.tools.family import ToolSpec
from friendli_endpoint.chat.tools.form import Ahead, Form, Name, Part, Space
from friendli_endpoint.chat.tools.lark import arguments, choice, quoted

__all__ = ["call_body", "head_form", "names_in_json"]


def call_body(tools: Sequence[ToolSpec], key: str) -> str:
    """A Lark expression: the objects of these calls, without the last brace.

    Args:
        tools: What may be called.
        key: What the family calls the arguments.
    """
    return choice(f"{_opening(tool, key)} {arguments(tool.parameters)}" for tool in tools)


def head_form(before: Sequence[Part], names: Name, key: str) -> Form:
    """The object of a call, up to its arguments.

    Args:
        before: What stands before it.
        names: What may be called.
        key: What the family calls the arguments.
    """
    return Form(*before, *_words("{", '"name"', ":", names, ",", f'"{key}"', ":"), Ahead("{"))


def names_in_json(tools: Sequence[ToolSpec]) -> Name:
    """The names of tools as JSON strings, with and without escapes."""
    written = {
        json.dumps(tool.name, ensure_ascii=ascii_only): tool.name
        for tool in tools
        for ascii_only in (True, False)
    }
    return Name(tuple(written.items()))


def _words(*parts: Part) -> list[Part]:
    return [each for part in parts for each in (part, Space())]


def _opening(tool: ToolSpec, key: str) -> str:
    return quoted(f'{{"name": {json.dumps(tool.name)}, {json.dumps(key)}: ')
