"""Clients under measurement, each in its own virtual environment, created once in `.cache/`."""

import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
INSTALL_SECONDS = 600


@dataclass(frozen=True)
class Client:
    """Client, the program that uses it, and its environment.

    Attributes:
        name: Name in the tables.
        program: Module in `programs/`.
        requirements: Lists of requirements for pip, installed one after the other.
        source: Additional folder to import from.
    """

    name: str
    program: str
    requirements: tuple[tuple[str, ...], ...]
    source: Path | None = None

    @property
    def python(self) -> Path:
        """Interpreter of the environment."""
        return self._home / "bin" / "python"

    @property
    def _home(self) -> Path:
        return CACHE / self.name.replace(" ", "-")

    def prepare(self) -> None:
        """Creates the environment, unless it exists.

        Raises:
            RuntimeError: pip could not install the requirements.
        """
        recipe = f"{sys.version}\n{self.requirements}\n{self.source}\n"
        ready = self._home / "ready"
        if ready.exists() and ready.read_text() == recipe:
            return
        venv.create(self._home, clear=True, symlinks=True)
        for requirements in self.requirements:
            self._install(requirements)
        if self.source is not None:
            next(self._home.glob("lib/*/site-packages")).joinpath("source.pth").write_text(
                f"{self.source}\n"
            )
        ready.write_text(recipe)

    def _install(self, requirements: tuple[str, ...]) -> None:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        command += ["--python", str(self.python), "install", *requirements]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        if done.returncode:
            raise RuntimeError(f"pip could not install {' '.join(requirements)}:\n{done.stderr}")


PYDANTIC = f"pydantic=={version('pydantic')}"
OURS_NEEDS = (PYDANTIC, f"httpx2=={version('httpx2')}")

OURS = Client("ours", "friendlis", (OURS_NEEDS,), ROOT / "src")
PEERS = (
    Client(
        "friendli 0.16.5", "friendlis", (("--no-deps", "friendli==0.16.5"), (PYDANTIC, "httpx"))
    ),
    Client("friendli 0.12.2", "friendlis", (("friendli==0.12.2", PYDANTIC),)),
    Client("openai 3.54.0", "openais", (("openai==3.54.0", PYDANTIC),)),
    Client("bare httpx2", "bare", (OURS_NEEDS,)),
    Client("raw socket", "raw", ()),
)
