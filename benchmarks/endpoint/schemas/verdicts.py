"""Verdicts on schemas, kept in a file, so that two versions of the code can be compared."""

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
"""The hash of a rewritten schema, and the error if there is one: its code and message."""


def verdict_of(schema: object, grammars: GrammarMaker) -> Verdict:
    """The verdict on one schema.

    Everything counts that `rewrite_schema` returns, the order of properties included. The
    compiler's grammar follows from it.
    """
    rewritten = "refused"
    try:
        rewriting = rewrite_schema(schema, "schema")
        text = json.dumps([rewriting.root, rewriting.definitions, rewriting.subschemas])
        rewritten = sha256(text.encode()).hexdigest()
        grammars.json_schema(schema, "schema")
    except RequestError as refusal:
        return f"{rewritten} {refusal.param} {refusal.code}: {refusal.message}"
    return rewritten


def verdicts_of(entries: Iterable[Entry], grammars: GrammarMaker) -> dict[str, Verdict]:
    """The verdicts on a corpus, by source and name."""
    return {f"{entry.source} {entry.name}": verdict_of(entry.schema, grammars) for entry in entries}


def save_verdicts(verdicts: Mapping[str, Verdict], file: Path) -> None:
    """Writes verdicts to a file."""
    file.write_text(json.dumps(verdicts, indent=0) + "\n")


def load_verdicts(file: Path) -> dict[str, Verdict]:
    """Reads what `save_verdicts` has written."""
    verdicts: dict[str, Verdict] = json.loads(file.read_text())
    return verdicts


def differences(before: Mapping[str, Verdict], after: Mapping[str, Verdict]) -> list[str]:
    """A line for each schema that has two verdicts, or only one."""
    return [
        f"{name}: {before.get(name, 'missing')} -> {after.get(name, 'missing')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
