"""Where models are kept, on each platform."""

import sys
from pathlib import Path

import pytest

from friendli_endpoint.cache import cache_folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, with nothing set."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("platform", "folder"),
    [("linux", ".cache"), ("darwin", "Library/Caches"), ("win32", "AppData/Local")],
)
def test_each_platform_has_its_folder(
    platform: str, folder: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == home / folder / "friendli-endpoint"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == home / folder / "friendli-endpoint"


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_the_folder_of_the_environment_goes_first(
    platform: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("LOCALAPPDATA", str(home / "local"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "chosen"))
    assert cache_folder() == home / "chosen" / "friendli-endpoint"


def test_windows_names_its_folder_in_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(home / "local"))
    assert cache_folder() == home / "local" / "friendli-endpoint"
