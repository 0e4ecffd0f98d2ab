"""Calls that are JSON objects with a name and arguments, as in most families."""

import json
from collections.abc import Sequence

from friendli_endpoint.chat.tools.family import ToolSpec
from friendli_endpoint.chat.tools.form import Ahead, Form, Name, Part, Space
from friendli_endpoint.chat.tools.lark import arguments, choice, quoted

__all__ = ["call_body", "head_form", "names_in_json"]


def call_body(tools: Sequence[ToolSpec], key: str) -> str:
    """Returns a Lark expression of the objects of these calls, without the last brace.

    Args:
        tools: The tools that may be called.
        key: The family's key of the arguments.
    """
    return choice(f"{_opening(tool, key)} {arguments(tool.parameters)}" for tool in tools)


def head_form(before: Sequence[Part], names: Name, key: str) -> Form:
    """Returns a form of the object of a call, up to its arguments.

    Args:
        before: Parts before the object.
        names: Names of the tools that may be called, as JSON strings.
        key: The family's key of the arguments.
    """
    return Form(*before, *_spaced("{", '"name"', ":", names, ",", f'"{key}"', ":"), Ahead("{"))


def names_in_json(tools: Sequence[ToolSpec]) -> Name:
    """Returns the names of tools as JSON strings, with and without escapes."""
    names = {
        json.dumps(tool.name, ensure_ascii=ascii_only): tool.name
        for tool in tools
        for ascii_only in (True, False)
    }
    return Name(tuple(names.items()))


def _spaced(*parts: Part) -> list[Part]:
    return [spaced for part in parts for spaced in (part, Space())]


def _opening(tool: ToolSpec, key: str) -> str:
    return quoted(f'{{"name": {json.dumps(tool.name)}, {json.dumps(key)}: ')
