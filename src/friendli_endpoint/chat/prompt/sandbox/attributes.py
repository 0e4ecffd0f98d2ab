"""Attributes and methods that a template may use, by the type of the value."""

from collections.abc import ItemsView, KeysView, Mapping, ValuesView
from typing import Any, Final

from jinja2.runtime import LoopContext, Macro, Undefined
from jinja2.utils import Cycler, Joiner, Namespace

from friendli_endpoint.chat.prompt.sandbox.meter import SandboxError

__all__ = ["ALLOWED", "allowed_names", "refusal", "type_name"]

_STRING = (
    "capitalize casefold count endswith find format index isalnum isalpha isascii isdecimal "
    "isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join lower lstrip "
    "partition removeprefix removesuffix replace rfind rindex rpartition rsplit rstrip split "
    "splitlines startswith strip swapcase title upper"
)

ALLOWED: Final[Mapping[type, frozenset[str]]] = {
    kind: frozenset(names.split())
    for kind, names in {
        str: _STRING,
        list: "copy count index",
        tuple: "count index",
        dict: "copy get items keys values",
        range: "count index start step stop",
        float: "is_integer",
        bool: "",
        int: "",
        type(None): "",
        KeysView: "",
        ValuesView: "",
        ItemsView: "",
        LoopContext: "changed cycle depth depth0 first index index0 last length nextitem previtem "
        "revindex revindex0",
        Cycler: "current items next pos reset",
        Joiner: "",
        Macro: "arguments caller catch_kwargs catch_varargs name",
    }.items()
}
"""Attributes by type. Missing methods of strings return bytes or may repeat text without limit;
missing methods of lists and objects change them."""

_GROUP = frozenset(("count", "grouper", "index", "list"))
_NONE: frozenset[str] = frozenset()


def allowed_names(value: Any) -> frozenset[str]:
    """Returns the names of the attributes of a value that a template may use.

    A namespace and an undefined value answer for themselves; see `Sandbox.getattr`.
    """
    names = ALLOWED.get(type(value))
    if names is not None:
        return names
    if hasattr(type(value), "grouper"):
        return _GROUP
    return next((names for kind, names in ALLOWED.items() if isinstance(value, kind)), _NONE)


def type_name(value: Any) -> str:
    """Returns the name of a value's type, as an error names it."""
    if isinstance(value, Namespace):
        return "namespace"
    return "undefined" if isinstance(value, Undefined) else type(value).__name__


def refusal(value: Any, name: str) -> SandboxError:
    """Returns the error for an attribute that is not allowed."""
    return SandboxError(f"the chat template uses {type_name(value)}.{name}, which is not allowed")
