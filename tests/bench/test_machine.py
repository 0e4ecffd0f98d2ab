"""Description of the machine."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from friendli_endpoint.bench import machine as module
from friendli_endpoint.bench.machine import machine, versions


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Redirects `/proc` to a folder that the test fills."""
    monkeypatch.setattr(module, "Path", lambda path: tmp_path / path.lstrip("/"))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(platform, "python_version", lambda: "3.11.7")
    (tmp_path / "proc").mkdir()
    return tmp_path


def test_processor_and_memory_are_read_from_proc(root: Path) -> None:
    (root / "proc" / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Some CPU \nprocessor\t: 1\nmodel name\t: Other CPU\n"
    )
    (root / "proc" / "meminfo").write_text("MemTotal:       25165824 kB\nMemFree: 1 kB\n")
    assert machine() == "Some CPU, 2 cores, 24 GiB, Linux, Python 3.11.7"


@pytest.mark.parametrize("content", [None, "hart\t: 0\n"], ids=["no file", "no name"])
def test_without_a_processor_name_the_architecture_is_used(root: Path, content: str | None) -> None:
    if content is not None:
        (root / "proc" / "cpuinfo").write_text(content)
        (root / "proc" / "meminfo").write_text(content)
    assert machine() == "riscv64, 2 cores, Linux, Python 3.11.7"


def test_only_versions_of_installed_packages_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEASURED", ("httpx2", "not-installed-anywhere"))
    assert versions() == {"httpx2": version("httpx2")}
