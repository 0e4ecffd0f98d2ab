"""Commands with curl in the documentation: they send JSON as JSON, for `-d` alone is a 415."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^\$ curl (?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)

COMMANDS = [
    pytest.param(command, id=f"{page.name}-{number}")
    for page in PAGES
    for number, command in enumerate(COMMAND.findall(page.read_text()))
]


def test_there_are_commands() -> None:
    assert COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_with_a_body_names_its_content_type(command: str) -> None:
    assert " -d " not in command or "-H 'content-type: application/json'" in command
