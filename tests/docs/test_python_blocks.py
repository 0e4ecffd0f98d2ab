"""Python in the documentation: every block of every page runs alone, as a program or as a test.

The endpoint is scripted. A comment before a block, which is not shown, gives its answers as a JSON
list: texts or whole completions. Blocks of docs/parameters.md need a model, and run in
tests/contract/test_examples.py.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from friendli._scripted import ScriptedEndpoint
from tests.contract import documentation

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
WITH_MODEL = ROOT / "docs" / "parameters.md"
BLOCK = re.compile(
    r"(?:<!-- answers: (?P<answers>.*?) -->\s*)?"
    r"^(?P<indent> *)```(?:python|py)\b[^\n]*\n(?P<code>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)
LOCAL_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Block:
    """A block of Python, and the answers that its requests get."""

    page: str
    line: int
    code: str
    answers: list[Any]

    @property
    def is_test(self) -> bool:
        """Whether the block is run by pytest."""
        return "\ndef test_" in self.code

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Returns the blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page.name,
            text.count("\n", 0, found.start("code")) + 1,
            "".join(line.removeprefix(found["indent"]) for line in found["code"].splitlines(True)),
            json.loads(found["answers"] or "[]"),
        )
        for found in BLOCK.finditer(text)
    ]


BLOCKS = [block for page in PAGES if page != WITH_MODEL for block in blocks(page)]


@pytest.mark.exhaustive
@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_runs_alone(
    block: Block, friendli_scripted: ScriptedEndpoint, tmp_path: Path
) -> None:
    for answer in block.answers:
        friendli_scripted.answer(answer)
    file = tmp_path / "test_block.py"
    file.write_text(block.code.replace(LOCAL_URL, friendli_scripted.url), encoding="utf-8")
    runner = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if block.is_test else []
    done = subprocess.run(
        [sys.executable, "-W", "error", *runner, str(file)],
        cwd=tmp_path,
        env={
            **{name: text for name, text in os.environ.items() if not name.startswith("FRIENDLI_")},
            "FRIENDLI_BASE_URL": friendli_scripted.url,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    used = len(friendli_scripted.requests)
    assert used >= len(block.answers)
    if "print(" in block.code:
        assert used > 0
        assert done.stdout.strip()


def test_every_fence_of_python_is_a_block() -> None:
    for page in PAGES:
        fences = re.findall(r"^ *```py", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(blocks(page)) == len(fences), page.name
    assert len(BLOCKS) >= 10


def test_blocks_that_need_a_model_run_in_the_contract() -> None:
    assert [block.code for block in blocks(WITH_MODEL)] == documentation.programs()
