"""What is told of the machine."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from friendli_endpoint.bench import machine as module
from friendli_endpoint.bench.machine import machine, versions


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system that tells what a test writes."""
    monkeypatch.setattr(module, "Path", lambda path: tmp_path / path.lstrip("/"))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(platform, "python_version", lambda: "3.11.7")
    (tmp_path / "proc").mkdir()
    return tmp_path


def test_processor_and_memory_are_those_that_the_system_tells(root: Path) -> None:
    (root / "proc" / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Some CPU \nprocessor\t: 1\nmodel name\t: Other CPU\n"
    )
    (root / "proc" / "meminfo").write_text("MemTotal:       25165824 kB\nMemFree: 1 kB\n")
    assert machine() == "Some CPU, 2 cores, 24 GiB, Linux, Python 3.11.7"


@pytest.mark.parametrize("content", [None, "hart\t: 0\n"], ids=["no file", "no name"])
def test_where_the_system_does_not_tell_the_kind_of_machine_is_said(
    root: Path, content: str | None
) -> None:
    if content is not None:
        (root / "proc" / "cpuinfo").write_text(content)
        (root / "proc" / "meminfo").write_text(content)
    assert machine() == "riscv64, 2 cores, Linux, Python 3.11.7"


def test_versions_are_of_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEASURED", ("httpx2", "not-installed-anywhere"))
    assert versions() == {"httpx2": version("httpx2")}
