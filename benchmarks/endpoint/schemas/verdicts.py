"""Verdicts on schemas, stored in a file to compare two versions of the code."""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from benchmarks.endpoint.schemas.gather import Entry
from friendli_endpoint.chat.structured import GrammarMaker
from friendli_endpoint.chat.structured.json_schema import rewrite_schema
from friendli_endpoint.generation import RequestError

__all__ = ["Verdict", "differences", "load_verdicts", "save_verdicts", "verdict_of", "verdicts_of"]

Verdict = str
"""Hash of a rewritten schema, followed by the param, code and message of the error, if any."""


def verdict_of(schema: object, grammars: GrammarMaker) -> Verdict:
    """Returns the verdict on one schema.

    The hash covers everything that `rewrite_schema` returns, including the order of properties,
    because the compiler's grammar depends on it.
    """
    rewritten = "refused"
    try:
        rewriting = rewrite_schema(schema, "schema")
        text = json.dumps([rewriting.root, rewriting.definitions, rewriting.subschemas])
        rewritten = sha256(text.encode()).hexdigest()
        grammars.json_schema(schema, "schema")
    except RequestError as error:
        return f"{rewritten} {error.param} {error.code}: {error.message}"
    return rewritten


def verdicts_of(entries: Iterable[Entry], grammars: GrammarMaker) -> dict[str, Verdict]:
    """Returns the verdicts on a corpus, by source and name."""
    return {f"{entry.source} {entry.name}": verdict_of(entry.schema, grammars) for entry in entries}


def save_verdicts(verdicts: Mapping[str, Verdict], file: Path) -> None:
    """Writes verdicts to a file."""
    file.write_text(json.dumps(verdicts, indent=0) + "\n")


def load_verdicts(file: Path) -> dict[str, Verdict]:
    """Reads verdicts that `save_verdicts` has written."""
    verdicts: dict[str, Verdict] = json.loads(file.read_text())
    return verdicts


def differences(before: Mapping[str, Verdict], after: Mapping[str, Verdict]) -> list[str]:
    """Returns a line for each schema whose verdict changed or is missing on one side."""
    return [
        f"{name}: {before.get(name, 'missing')} -> {after.get(name, 'missing')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
