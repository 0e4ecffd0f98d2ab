"""Other distributions that own the name `friendli`, installed over or under this one.

pip installs them into one folder without a word, and removing either breaks both.
"""

from __future__ import annotations

import os
import warnings
from functools import cache
from typing import Final

_FILES_OF_OTHERS: Final = {
    "models.py": "friendli",
    "core/basesdk.py": "friendli",
    "sdk": "friendli-client",
    "sdk.py": "friendli-client",
    "schema": "friendli-client",
}
"""Files that only another distribution installs, by path in the package, and its name."""

_FOLDER: Final = os.path.dirname(__file__)


def mixture(folder: str = _FOLDER) -> str | None:
    """Return a sentence about another distribution's files in this package; None if it has none.

    Args:
        folder: Folder of the package `friendli`.
    """
    for path, name in _FILES_OF_OTHERS.items():
        if os.path.exists(os.path.join(folder, path)):
            return (
                f"the package friendli is a mixture of friendli-dedicated and {name}: both were "
                f"installed into {folder}, which breaks both. Uninstall both, install "
                "friendli-dedicated again, and keep the other out: with a line 'friendli<0' (and "
                "'friendli-client<0') in a constraint file of pip, or "
                "override-dependencies = [\"friendli; sys_platform == 'never'\"] of uv"
            )
    return None


@cache
def warn_of_mixture() -> None:
    """Warn once if the package is a mixture."""
    sentence = mixture()
    if sentence is not None:
        warnings.warn(sentence, UserWarning, stacklevel=4)
