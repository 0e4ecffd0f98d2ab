"""Commands that install extras: they repeat how this distribution was installed."""

from __future__ import annotations

import json
import re
import shlex
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import friendli_endpoint
from friendli._install import DISTRIBUTION, install_command, install_extra
from friendli._version import VERSION

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "install"]
REQUIRES = [
    "pydantic>=2",
    "aiohttp<4,>=3.10; extra == 'aiohttp'",
    "uvloop>=0.21; (sys_platform != 'win32') and extra == 'endpoint'",
    "typer>=0.20; extra == 'endpoint'",
]


class Installed:
    """Metadata of an installed distribution."""

    requires = REQUIRES

    def __init__(self, origin: dict[str, Any] | None, installer: str | None = "pip\n") -> None:
        self._texts = {
            "direct_url.json": json.dumps(origin) if origin is not None else None,
            "INSTALLER": installer,
        }

    def read_text(self, name: str) -> str | None:
        return self._texts[name]


def arguments(
    monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any] | None, extra: str = "aiohttp"
) -> list[str]:
    """Returns what a shell passes to `pip install` if the distribution has this origin."""
    monkeypatch.setattr(metadata, "distribution", lambda _name: Installed(origin))
    words = shlex.split(install_extra(extra))
    assert words[: len(PIP)] == PIP
    return words[len(PIP) :]


def test_a_folder_is_installed_from_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    origin: dict[str, Any] = {"url": folder.as_uri(), "dir_info": {}}
    assert arguments(monkeypatch, origin) == [f"{folder}[aiohttp]"]
    origin["dir_info"] = {"editable": True}
    assert arguments(monkeypatch, origin) == ["-e", f"{folder}[aiohttp]"]


def test_a_wheel_is_installed_from_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel = tmp_path / "friendli_dedicated-0.1.0-py3-none-any.whl"
    wheel.touch()
    origin = {"url": wheel.as_uri(), "archive_info": {}}
    assert arguments(monkeypatch, origin) == [f"{wheel}[aiohttp]"]


@pytest.mark.parametrize("folder", [None, "packages/client"])
@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("ssh://git@host/repository", "ssh://git@host/repository"),
        ("file:///repository", "file://localhost/repository"),
    ],
)
def test_a_repository_is_installed_from_again(
    monkeypatch: pytest.MonkeyPatch, folder: str | None, url: str, named: str
) -> None:
    origin: dict[str, Any] = {
        "url": url,
        "vcs_info": {"vcs": "git", "commit_id": "abc123", "requested_revision": "main"},
    }
    if folder is not None:
        origin["subdirectory"] = folder
    (text,) = arguments(monkeypatch, origin)
    requirement = Requirement(text)
    assert (requirement.name, requirement.extras) == (DISTRIBUTION, {"aiohttp"})
    end = f"#subdirectory={folder}" if folder else ""
    assert requirement.url == f"git+{named}@abc123{end}"


def test_a_wheel_at_a_url_is_installed_from_again(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://host/friendli_dedicated-0.1.0-py3-none-any.whl"
    (text,) = arguments(monkeypatch, {"url": url, "archive_info": {}})
    assert Requirement(text).url == url


@pytest.mark.parametrize("origin", [None, {"url": "file:///vanished/a.whl", "archive_info": {}}])
def test_without_an_origin_the_packages_of_the_extra_are_installed(
    monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any] | None
) -> None:
    assert arguments(monkeypatch, origin) == ["aiohttp<4,>=3.10"]
    packages = arguments(monkeypatch, origin, "endpoint")
    assert packages == ['uvloop>=0.21; (sys_platform != "win32")', "typer>=0.20"]
    assert [Requirement(package).name for package in packages] == ["uvloop", "typer"]


def test_without_metadata_the_folder_of_the_source_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    assert shlex.split(install_extra("otel")) == [*PIP, "-e", f"{ROOT}[otel]"]


def test_uv_installs_where_uv_has_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda _name: Installed(None, "uv"))
    expected = ["uv", "pip", "install", "--python", sys.executable, "a>1"]
    assert shlex.split(install_command("a>1")) == expected


# The sentence is generated in one place. No index has the distribution.
COMMAND = re.compile(r"(pip install|uv add|uv pip)[^\n]*friendli-dedicated|friendli-dedicated\[")
TEXTS = [
    path
    for folder in ("src", "docs", "examples", "deploy", "benchmarks")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".md", ".toml", ".yaml", ".txt", ""} and path.is_file()
] + [*ROOT.glob("*.md"), ROOT / "Makefile"]


def test_no_text_names_a_command_that_needs_an_index() -> None:
    named = {
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in TEXTS
        for found in COMMAND.finditer(path.read_text(encoding="utf-8"))
        if " @ " not in path.read_text(encoding="utf-8")[found.start() : found.end() + 40]
        and path.name != "_install.py"
    }
    assert named == set()
    assert len(TEXTS) > 100


@pytest.mark.parametrize("extra", ["aiohttp", "otel", "bench", "repack", "endpoint"])
def test_the_installed_distribution_has_the_extra(extra: str) -> None:
    assert f"[{extra}]" in install_extra(extra) or "==" in install_extra(extra)


def test_both_packages_have_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert friendli_endpoint.__version__ == VERSION == project["version"]
