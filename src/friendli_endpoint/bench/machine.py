"""Machine description for reports: processor, memory and system, but no host name or path."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["machine", "versions"]

MEASURED = ("friendli-dedicated", "xllamacpp", "httpx2")


def machine() -> str:
    """Returns one line, such as `Some CPU, 2 cores, 24 GiB, Linux, Python 3.11.7`."""
    facts = [_processor(), f"{os.cpu_count()} cores", _memory(), platform.system()]
    facts.append(f"Python {platform.python_version()}")
    return ", ".join(fact for fact in facts if fact)


def versions() -> dict[str, str]:
    """Returns the versions of the measured and measuring packages that are installed."""
    found = {}
    for name in MEASURED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", file.read_text(), re.M) if file.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _memory() -> str:
    file = Path("/proc/meminfo")
    found = re.search(r"^MemTotal:\s+(\d+) kB", file.read_text(), re.M) if file.exists() else None
    return f"{round(int(found[1]) / 2**20)} GiB" if found else ""
