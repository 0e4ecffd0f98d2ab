"""Where models are kept that were pulled or repacked."""

import os
import sys
from pathlib import Path

__all__ = ["cache_folder"]

NAME = "friendli-endpoint"


def cache_folder() -> Path:
    """The folder that the platform gives programs for what can be brought again."""
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen) / NAME
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / NAME
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / NAME
