"""Commands that install what is missing into the running environment.

No package index has this distribution, so a command repeats how it was installed: from a folder, a
repository or a wheel, which pip and uv record in `direct_url.json`.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

__all__ = ["DISTRIBUTION", "install_command", "install_extra"]

DISTRIBUTION = "friendli-dedicated"

_EXTRA = re.compile(r"""\s*(?:and\s+)?extra\s*==\s*['"]([\w.-]+)['"]""")
"""The part of a requirement's marker that names the extra."""


def install_extra(extra: str) -> str:
    """Returns the command that installs an extra of this distribution.

    If its origin no longer exists, as that of a wheel in a container image, the command installs
    the packages of the extra. Without any metadata, as in a copy of the source, it is a command
    for the folder of the copy.
    """
    try:
        found = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        root = Path(__file__).parents[2]
        return install_command("-e", f"{root}[{extra}]")
    origin = _origin(json.loads(found.read_text("direct_url.json") or "{}"), extra)
    return install_command(*(origin or _packages(found.requires or (), extra)))


def install_command(*arguments: str) -> str:
    """Returns a command of pip, or of uv if uv installed this distribution.

    Args:
        arguments: Options and requirements; they are quoted for a shell.
    """
    python = shlex.quote(sys.executable or "python")
    pip = f"uv pip install --python {python}" if _by_uv() else f"{python} -m pip install"
    return shlex.join([*shlex.split(pip), *arguments])


def _by_uv() -> bool:
    try:
        installer = metadata.distribution(DISTRIBUTION).read_text("INSTALLER")
    except metadata.PackageNotFoundError:
        return False
    return (installer or "").strip() == "uv"


def _origin(recorded: dict[str, Any], extra: str) -> list[str]:
    """Returns the arguments for the recorded origin; none if it is unknown or has vanished."""
    url = recorded.get("url", "")
    if vcs := recorded.get("vcs_info"):
        folder = f"#subdirectory={path}" if (path := recorded.get("subdirectory")) else ""
        # Without a host, pip below 24.1 takes the requirement for a path.
        url = url.replace("file:///", "file://localhost/", 1)
        return [f"{DISTRIBUTION}[{extra}] @ {vcs['vcs']}+{url}@{vcs['commit_id']}{folder}"]
    parts = urlsplit(url)
    if parts.scheme != "file":
        return [f"{DISTRIBUTION}[{extra}] @ {url}"] if url else []
    path = Path(url2pathname(parts.path))
    if not path.exists():
        return []
    editable = recorded.get("dir_info", {}).get("editable", False)
    return [*(["-e"] if editable else []), f"{path}[{extra}]"]


def _packages(requirements: Iterable[str], extra: str) -> list[str]:
    """Returns the requirements of an extra, without the part of their markers that names it."""
    return [
        _EXTRA.sub("", requirement).rstrip("; ").replace("'", '"')
        for requirement in requirements
        if (named := _EXTRA.search(requirement)) and named[1] == extra
    ]
