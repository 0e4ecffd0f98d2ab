"""The corpus of JSON schemas, its timings, and the comparison of verdicts."""

import json
import sys
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoint.schemas import gather as gathering
from benchmarks.endpoint.schemas import installing
from benchmarks.endpoint.schemas.__main__ import main, measure, table
from benchmarks.endpoint.schemas.__main__ import packages as packages_of
from benchmarks.endpoint.schemas.extraction import is_self_contained, schemas_in
from benchmarks.endpoint.schemas.gather import Entry, gather, load
from benchmarks.endpoint.schemas.installing import installed, run
from benchmarks.endpoint.schemas.sources import SOURCES, FileSource, ModelSource
from benchmarks.endpoint.schemas.verdicts import (
    differences,
    load_verdicts,
    save_verdicts,
    verdicts_of,
)
from friendli_endpoint.chat.structured import GrammarMaker, MatcherCompiler
from tests.support.scripted import ScriptedVocabulary

API: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Pets", "version": "1"},
    "paths": {},
    "components": {
        "schemas": {
            "Pet": {
                "type": "object",
                "properties": {
                    "owner": {"$ref": "#/components/schemas/Person"},
                    "$ref": {"type": "string"},
                },
            },
            "Person": {
                "type": "object",
                "properties": {
                    "pets": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}},
                    "site": {"$ref": "elsewhere.json#/site"},
                },
            },
            "Name": {"type": "string"},
        }
    },
}


def test_schemas_of_an_openapi_document_are_self_contained() -> None:
    found = dict(schemas_in(API))
    assert list(found) == [f"#/components/schemas/{name}" for name in ("Pet", "Person", "Name")]
    assert found["#/components/schemas/Name"] == {"type": "string"}
    pet = found["#/components/schemas/Pet"]
    assert pet["properties"] == {"owner": {"$ref": "#/$defs/Person"}, "$ref": {"type": "string"}}
    assert pet["$defs"].keys() == {"Person", "Pet"}
    assert pet["$defs"]["Person"]["properties"] == {
        "pets": {"type": "array", "items": {"$ref": "#/$defs/Pet"}},
        "site": {"$ref": "elsewhere.json#/site"},
    }


def test_a_json_schema_yields_itself_and_its_definitions() -> None:
    schema = {"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"type": "null"}}}
    assert dict(schemas_in(schema)) == {"#": schema, "#/definitions/a/b": {"type": "null"}}
    assert not [*schemas_in({"name": "package"})] and not [*schemas_in([schema])]


def test_definitions_of_the_same_name_are_kept_apart() -> None:
    document = {
        "definitions": {
            "x": {"anyOf": [{"$ref": "#/definitions/y"}, {"$ref": "#/$defs/y"}]},
            "y": {"type": "null"},
        },
        "$defs": {"y": {"type": "string"}},
    }
    alone = dict(schemas_in(document))["#/definitions/x"]
    assert alone == {
        "anyOf": [{"$ref": "#/$defs/y"}, {"$ref": "#/$defs/y_"}],
        "$defs": {"y": {"type": "null"}, "y_": {"type": "string"}},
    }


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a folder into which two packages have been downloaded."""
    sources = (
        FileSource("pypi", "wheel", "1", "*/schemas/*.json"),
        FileSource("npm", "@scope/tarball", "2", "package/*.yaml"),
    )
    monkeypatch.setattr(gathering, "SOURCES", sources)
    wheel = tmp_path / "pypi-wheel-1" / "wheel.whl"
    tarball = tmp_path / "npm-@scope-tarball-2" / "tarball.tgz"
    wheel.parent.mkdir()
    tarball.parent.mkdir()
    deep: dict[str, Any] = {"type": "null"}
    for _ in range(100):
        deep = {"items": deep}
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a/schemas/1.json", json.dumps({"type": "null", "title": "x"}))
        archive.writestr("a/schemas/2.json", json.dumps({"title": "x", "type": "null"}))
        archive.writestr("a/schemas/3.json", json.dumps(deep))
        archive.writestr("a/schemas/4.json", json.dumps({"$ref": "https://example.org/a.json"}))
        archive.writestr("a/schemas/5.json", "// A comment\n{}")
        archive.writestr("a/other.json", json.dumps({"type": "string"}))
    text = b"openapi: 3.0.0\ncomponents: {schemas: {Day: {type: string, example: 2026-01-02}}}\n"
    with tarfile.open(tarball, "w:gz") as archive:
        member = tarfile.TarInfo("package/api.yaml")
        member.size = len(text)
        archive.addfile(member, BytesIO(text))
    return tmp_path


def test_a_corpus_has_no_duplicate_and_no_oversized_schema(packages: Path) -> None:
    assert load(gather(packages)) == [
        Entry("wheel 1", "a/schemas/1.json#", {"type": "null", "title": "x"}),
        Entry(
            "@scope/tarball 2",
            "package/api.yaml#/components/schemas/Day",
            {"type": "string", "example": "2026-01-02"},
        ),
    ]


def test_models_of_a_package_are_printed_as_schemas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ModelSource("pypi", "shop", "1")
    monkeypatch.setattr(gathering, "SOURCES", (source,))
    monkeypatch.setattr(installing, "run", lambda *_arguments, **_options: "")
    home = installed("pypi", ["shop==1"], tmp_path)
    types = home / "shop" / "types"
    types.mkdir(parents=True)
    (home / "shop" / "__init__.py").touch()
    (types / "__init__.py").touch()
    (types / "order.py").write_text("import pydantic\nclass Order(pydantic.BaseModel):\n  n: int\n")
    [entry] = load(gather(tmp_path))
    assert (entry.source, entry.name) == ("shop 1", "shop.types.order.Order")
    assert entry.schema["properties"] == {"n": {"title": "N", "type": "integer"}}


def test_a_failed_download_names_its_command() -> None:
    with pytest.raises(RuntimeError, match=r"exit\(3\) failed"):
        run([sys.executable, "-c", "exit(3)"])


def test_each_schema_is_timed_and_marked_as_accepted_or_not() -> None:
    schemas: list[dict[str, Any]] = [
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {"type": "integer", "minimum": 3},
        {"type": "array", "extends": {"type": "null"}},
        {"type": "string", "pattern": "("},
    ]
    timings = measure(schemas, ScriptedVocabulary(), 2)
    assert [timing.is_accepted for timing in timings] == [True, True, False, False]
    assert all(timing.rewriting > 0 and timing.compiling > 0 for timing in timings)
    lines = table(timings)
    assert len({line.count("|") for line in lines}) == 1
    assert [line for line in lines if line.startswith("| 4, all | rewriting / llguidance's |")]
    assert [line for line in lines if line.startswith("| 2, accepted by both | rewriting, ms |")]


def test_packages_are_listed_with_versions_and_counts() -> None:
    entries = [Entry("openai 3", "a", {}), Entry("webpack 5", "b", {}), Entry("openai 3", "c", {})]
    assert packages_of(entries).endswith(": openai 3 (2), webpack 5 (1).")


def test_sources_have_different_labels() -> None:
    assert len({source.label for source in SOURCES}) == len(SOURCES)


@pytest.mark.parametrize(
    ("schema", "is_contained"),
    [
        ({"$ref": "#/$defs/a", "$defs": {"a": {}}}, True),
        ({"$id": "https://example.org/a.json", "$ref": "https://example.org/a.json#/b"}, True),
        ({"$id": "https://example.org/a.json", "items": {"$ref": "a.json"}}, True),
        ({"items": [{"$ref": "other.json#/a"}]}, False),
    ],
)
def test_a_schema_that_refers_to_another_document_is_found(
    schema: dict[str, Any], is_contained: bool
) -> None:
    assert is_self_contained(schema) is is_contained


def test_changed_verdicts_are_listed(tmp_path: Path) -> None:
    compiler = GrammarMaker(MatcherCompiler(ScriptedVocabulary()))
    schemas: dict[str, dict[str, Any]] = {
        "a": {"type": "integer"},
        "b": {"type": "array", "extends": {"type": "null"}},
        "c": {"type": "string", "pattern": "a", "minLength": 2, "maxLength": 1},
    }
    before = verdicts_of([Entry("s", name, schema) for name, schema in schemas.items()], compiler)
    assert len(before["s a"]) == 64
    assert before["s b"].startswith("refused schema.extends unsupported_schema: ")
    assert " unsupported_schema: " in before["s c"] and not before["s c"].startswith("refused")
    save_verdicts(before, tmp_path / "verdicts")
    assert load_verdicts(tmp_path / "verdicts") == before
    assert differences(before, before) == []
    changed = {**before, "s b": "other"}
    del changed["s c"]
    assert differences(before, changed) == [
        f"s b: {before['s b']} -> other",
        f"s c: {before['s c']} -> missing",
    ]


def test_help_lists_the_compare_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--compare FILE" in capsys.readouterr().out
