"""The examples of `docs/parameters.md`: bodies with what is said of their answers, and programs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PAGE", "Example", "examples", "named", "programs", "value"]

PAGE = (Path(__file__).parents[2] / "docs" / "parameters.md").read_text(encoding="utf-8")

_HEADING = re.compile(r"^### (.*)\n", re.MULTILINE)
_EXAMPLE = re.compile(r"```json\n(?P<body>(?:(?!```).*\n)*)```\n(?P<told>(?:> .*\n)+)")
_PROGRAM = re.compile(r"```python\n((?:(?!```).*\n)*)```\n")
_STEP = re.compile(r"(\w+)|\[(-?\d+)\]")


@dataclass(frozen=True)
class Example:
    """A body as it stands on the page, the status of its answer, and what is said of that."""

    heading: str
    body: bytes
    status: int
    told: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.heading} {self.status}"


def examples() -> list[Example]:
    """The bodies in the order of the page."""
    found, heading = [], ""
    for part in re.finditer(f"{_HEADING.pattern}|{_EXAMPLE.pattern}", PAGE, re.MULTILINE):
        if part["body"] is None:
            heading = part[1]
        else:
            text = part["told"].replace("\n> ", " ").removeprefix("> ").strip()
            status, *told = text.split(" · ")
            found.append(Example(heading, part["body"].encode(), int(status), tuple(told)))
    return found


def programs() -> list[str]:
    """The programs in the order of the page."""
    return _PROGRAM.findall(PAGE)


def named() -> set[str]:
    """The fields that the page has a heading for."""
    return {name for heading in _HEADING.findall(PAGE) for name in re.findall(r"`(\w+)`", heading)}


def value(expression: str, answer: Any) -> Any:
    """What an expression such as `len(choices[0].message.tool_calls)` or `"stop"` says."""
    if counted := re.fullmatch(r"len\((.*)\)", expression):
        return len(value(counted[1], answer))
    try:
        return json.loads(expression)
    except ValueError:
        for name, index in _STEP.findall(expression):
            answer = answer[name] if name else answer[int(index)]
        return answer
