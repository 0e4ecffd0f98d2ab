"""Commands in the documentation: they are found where a reader types them."""

import re
from pathlib import Path

import pytest

from friendli_endpoint.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]
TYPED = re.compile(r"^\$ (?:.*[ (])?((?:\S*/)?friendli-endpoint) ([a-z]+)", re.MULTILINE)
ACTIVATION = ("$ source .venv/bin/activate", "(command-line.md#the-environment)")
COMMAND_LINE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_is_found_in_the_environment_that_the_page_names(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for program, command in TYPED.findall(text):
        assert command in COMMANDS
        if page.name == "README.md":
            assert program == ".venv/bin/friendli-endpoint"
        else:
            assert any(sign in text for sign in ACTIVATION)


def test_pages_have_commands() -> None:
    found = [page for page in PAGES if TYPED.search(page.read_text(encoding="utf-8"))]
    assert len(found) >= 5


def test_the_page_on_the_command_line_lists_every_command() -> None:
    listed = re.findall(r"^\| `friendli-endpoint ([a-z]+)", COMMAND_LINE, re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)
