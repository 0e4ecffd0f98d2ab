"""Rules for names, docstrings and wording that a program can check."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("friendli", "friendli_endpoint")
FOLDERS = ("src", "tests", "benchmarks", "examples", "docs")

SOURCES = sorted(
    path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if path != Path(__file__)
)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

VAGUE_VARIABLES = frozenset({"each", "other", "one"})
SUPERLATIVES = frozenset({"most", "least", "longest", "largest", "fewest", "shortest", "smallest"})
"""Words that must not name bounds; names of bounds begin with `max_`, `min_` or `num_`."""

NO_NOUN = re.compile(r"(What|How|Who|Where|Which|Those|That|When|All that|As many)\b")
"""First words of docstrings that are relative clauses without a noun."""

IS_NO = re.compile(r"(?<![Tt]here )\b(?:is|are|was|were) no (?!longer\b|more\b)\w+")
"""`X is no Y`, which should be `X is not a Y`."""


@cache
def trees() -> list[tuple[Path, ast.Module]]:
    return [(path.relative_to(ROOT), ast.parse(path.read_text())) for path in SOURCES]


def words_of(name: str) -> set[str]:
    return set(name.lower().strip("_").split("_"))


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yields names of variables, arguments, attributes, functions and classes of a module."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if not name.startswith("test_"):
                    yield node.lineno, name
            case ast.ClassDef(name=name):
                yield node.lineno, name


@pytest.mark.parametrize("package", PACKAGES)
def test_a_public_class_name_has_one_meaning_in_a_package(package: str) -> None:
    defined = defaultdict(list)
    for path, tree in trees():
        if path.is_relative_to(f"src/{package}"):
            for node in tree.body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    defined[node.name].append(str(path))
    assert {name: paths for name, paths in defined.items() if len(paths) > 1} == {}


def test_docstrings_do_not_begin_with_a_relative_clause() -> None:
    found = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node) or ""
                if NO_NOUN.match(docstring):
                    found.append(
                        f"{path}:{getattr(node, 'lineno', 1)}: {docstring.splitlines()[0]}"
                    )
    assert found == []


def test_variables_have_no_vague_names() -> None:
    found = [
        f"{path}:{line}: {name}"
        for path, tree in trees()
        for line, name in identifiers(tree)
        if name in VAGUE_VARIABLES
    ]
    assert found == []


def test_names_of_bounds_have_no_superlatives() -> None:
    found = [
        f"{path}:{line}: {name}"
        for path, tree in trees()
        for line, name in identifiers(tree)
        if words_of(name) & SUPERLATIVES
    ]
    assert found == []


def test_no_sentence_says_is_no() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in (*SOURCES, *PAGES)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in IS_NO.finditer(line)
    ]
    assert found == []
