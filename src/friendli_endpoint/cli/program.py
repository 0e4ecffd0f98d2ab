"""Name of this program, as a user can type it again."""

import shlex
import shutil
import sys
from pathlib import Path

__all__ = ["program"]

NAME = "friendli-endpoint"


def program() -> str:
    """Returns the shell's words for this program: its name, its path, or a Python module.

    Outside of an active environment a shell does not find `friendli-endpoint` by its name.
    """
    started = Path(sys.argv[0])
    if started.name != NAME:
        return f"{shlex.quote(sys.executable)} -m friendli_endpoint"
    found = shutil.which(NAME)
    if found is not None and started.exists() and Path(found).samefile(started):
        return NAME
    return shlex.quote(sys.argv[0])
