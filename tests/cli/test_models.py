"""The list of models on this machine, and of an endpoint."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .command import run
from .file_server import FileServer


def test_local_models_are_listed(model: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.gguf").write_bytes(model.read_bytes()[:100])
    shutil.copy(model, tmp_path / "other.gguf")
    lines = run("models", "--in", str(tmp_path)).stdout.splitlines()
    embedded, first, second, torn = (line.split() for line in lines[1:])
    assert embedded[0].startswith("SmolLM2-135M-Instruct")
    assert embedded[3:6] == ["llama", "Q4_1", "8192"]
    assert first == ["model", "0", "MB", "llama", "1024", str(model)]
    assert (second[0], torn[:2]) == ("other", ["torn", "damaged"])


def test_models_in_the_cache_are_listed(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "friendli-endpoint"
    folder.mkdir()
    model.rename(folder / "mine.gguf")
    assert "mine.gguf" in run("models", XDG_CACHE_HOME=str(tmp_path)).stdout


def test_a_column_is_as_wide_as_its_widest_cell(model: Path) -> None:
    lines = run("models", "--in", str(model.parent)).stdout.splitlines()
    begin = lines[0].index("file")
    assert [line[begin - 2 : begin + 1] for line in lines] == ["  f", *["  /"] * (len(lines) - 1)]
    assert all(line == line.rstrip() for line in lines)


def test_without_models_only_the_header_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    result = run("models", "--in", str(tmp_path / "none"))
    assert result.stdout == "model  size  architecture  quantisation  context  file\n"


# ── an endpoint ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def server() -> Iterator[FileServer]:
    cards = [{"id": "first", "root": "some model", "max_model_len": 512}, {"id": "second"}]
    server = FileServer(json.dumps({"object": "list", "data": cards}).encode())
    yield server
    server.close()


def test_the_models_of_an_endpoint_are_listed(server: FileServer) -> None:
    result = run("models", "--url", f"{server.url}/", FRIENDLI_TOKEN="secret")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["id", "model", "context"],
        ["first", "some", "model", "512"],
        ["second"],
    ]
    ((path, headers),) = server.seen
    assert (path, headers["authorization"]) == ("/dedicated/v1/models", "Bearer secret")
