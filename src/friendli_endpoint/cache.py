"""Folder of pulled and repacked models."""

import os
import sys
from pathlib import Path

__all__ = ["cache_folder"]

NAME = "friendli-endpoint"


def cache_folder() -> Path:
    """Returns the platform's cache folder of this program; `XDG_CACHE_HOME` overrides it."""
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen) / NAME
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / NAME
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / NAME
