"""The table of tool-call formats in the documentation has every family, and no other."""

import re
from pathlib import Path

from friendli_endpoint.chat.tools import FAMILIES

PAGE = (Path(__file__).parents[2] / "docs" / "endpoint.md").read_text()
NAMES = {family.name for family in FAMILIES}


def test_the_table_of_formats_has_every_family() -> None:
    section = PAGE.partition("\n## Tool calls\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert len(rows) == len(set(rows)) and set(rows) == NAMES


def test_the_flag_lists_every_family() -> None:
    (row,) = re.findall(r"^\| `--tool-family` .*: (.+) \|$", PAGE, re.MULTILINE)
    assert set(row.split(", ")) == NAMES
