"""Names of the published client that this one does without."""

from __future__ import annotations

from friendli._errors import NotCoveredImportError


def absent(module: str, name: str, known: frozenset[str]) -> Exception:
    """Give the error for a name that a module lacks.

    `from module import name` shows the words of an ImportError only; it makes up its own for an
    AttributeError.

    Args:
        module: Where the name was looked for.
        name: The name.
        known: What the published module of that name has besides.
    """
    if name not in known:
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    return NotCoveredImportError(
        f"this client covers dedicated.chat (complete and stream); {module}.{name} is not part of "
        "it",
        name=name,
    )
