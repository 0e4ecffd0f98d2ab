"""Formatted text: the operator `%` and the method `format` of strings."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment
from jinja2.sandbox import SandboxedFormatter

from friendli_endpoint.chat.prompt.sandbox.meter import SandboxError, charged, check_size, current
from friendli_endpoint.chat.prompt.sandbox.values import (
    ESCAPED,
    as_text,
    measure,
    representation,
)

__all__ = ["StringFormat", "percent_formatted"]

_MAX_WIDTH = 99
_FIELD = r"[-+ #0]*([0-9]*)(?:\.([0-9]*))?"
_PLAIN, _KEYED = (re.compile(before + _FIELD + r"(\*?)") for before in ("%", r"[%)]"))
"""Width, precision and a computed one; with a key, as in `%(a)5d`, they follow a parenthesis."""


class StringFormat:
    """The method `format` of a string, with limits.

    Args:
        environment: Decides which attributes a field may name.
        text: The format string.
    """

    __slots__ = ("_environment", "_text")

    def __init__(self, environment: Environment, text: str) -> None:
        self._environment = environment
        self._text = text

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        """Returns the formatted text."""
        formatter = _Formatter(self._environment)
        return charged(formatter.vformat(self._text, args, kwargs))  # type: ignore[no-any-return]


class _Formatter(SandboxedFormatter):
    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._size = 0

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        current().check_time()
        return super().get_value(key, args, kwargs)

    def convert_field(self, value: Any, conversion: Any) -> Any:
        if conversion in ("r", "a"):
            text = representation(value)
            return charged(ascii(value)) if conversion == "a" else text
        return as_text(value) if conversion == "s" else super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> str:
        for digits in re.finditer(r"\d+", format_spec):  # digits of any script, as `format` reads
            _check_width(digits.group())
        text: str = charged(format(value, format_spec)) if format_spec else as_text(value)
        self._size += len(text)
        check_size(self._size)
        return text


def percent_formatted(form: str, values: Any) -> str:
    """Returns `form % values`."""
    fields = form.count("%")
    check_size(fields * _MAX_WIDTH)
    for field in (_KEYED if "%(" in form else _PLAIN).finditer(form):
        width, precision, computed = field.groups()
        _check_width(width)
        _check_width(precision)
        if computed:
            raise SandboxError("the chat template formats with a width that is computed")
    repeated = fields if isinstance(values, dict) else 1
    current().require(len(form) + repeated * ESCAPED * measure(values) + fields * _MAX_WIDTH)
    return charged(form % values)  # type: ignore[no-any-return]


def _check_width(digits: str | None) -> None:
    if digits and (len(digits) > 9 or int(digits) > _MAX_WIDTH):
        raise SandboxError(f"the chat template formats with a width greater than {_MAX_WIDTH}")
