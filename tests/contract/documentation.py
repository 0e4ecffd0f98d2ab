"""Parser for the examples of `docs/parameters.md`: bodies with expected answers, and programs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PAGE", "Example", "examples", "named", "programs", "value"]

PAGE = (Path(__file__).parents[2] / "docs" / "parameters.md").read_text(encoding="utf-8")

_HEADING = re.compile(r"^### (.*)\n", re.MULTILINE)
_EXAMPLE = re.compile(r"```json\n(?P<body>(?:(?!```).*\n)*)```\n(?P<facts>(?:> .*\n)+)")
_PROGRAM = re.compile(r"```python\n((?:(?!```).*\n)*)```\n")
_STEP = re.compile(r"(\w+)|\[(-?\d+)\]")


@dataclass(frozen=True)
class Example:
    """A body from the page with the expected status and the expected facts of its answer."""

    heading: str
    body: bytes
    status: int
    facts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.heading} {self.status}"


def examples() -> list[Example]:
    """Returns the example bodies in the order of the page."""
    found, heading = [], ""
    for part in re.finditer(f"{_HEADING.pattern}|{_EXAMPLE.pattern}", PAGE, re.MULTILINE):
        if part["body"] is None:
            heading = part[1]
        else:
            text = part["facts"].replace("\n> ", " ").removeprefix("> ").strip()
            status, *facts = text.split(" · ")
            found.append(Example(heading, part["body"].encode(), int(status), tuple(facts)))
    return found


def programs() -> list[str]:
    """Returns the programs in the order of the page."""
    return _PROGRAM.findall(PAGE)


def named() -> set[str]:
    """Returns the names of the fields that have a heading on the page."""
    return {name for heading in _HEADING.findall(PAGE) for name in re.findall(r"`(\w+)`", heading)}


def value(expression: str, answer: Any) -> Any:
    """Evaluates an expression such as `len(choices[0].message.tool_calls)` or `"stop"`."""
    if counted := re.fullmatch(r"len\((.*)\)", expression):
        return len(value(counted[1], answer))
    try:
        return json.loads(expression)
    except ValueError:
        for name, index in _STEP.findall(expression):
            answer = answer[name] if name else answer[int(index)]
        return answer
