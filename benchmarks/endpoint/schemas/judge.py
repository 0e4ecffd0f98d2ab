"""Verdicts of the jsonschema package, which counts decimals exactly."""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from typing import Any

from jsonschema import Draft4Validator, Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend, validator_for

__all__ = ["judge_of"]

_PRECISION = 400
"""Digits of remainders; a number of generated JSON has at most 40 digits and 10^99 as a factor."""


def _matching(pattern: str) -> tuple[Callable[[object], bool], tuple[()]]:
    compiled = re.compile(pattern)
    return lambda value: not isinstance(value, str) or bool(compiled.fullmatch(value)), ()


_LABEL = "[A-Za-z0-9](-*[A-Za-z0-9])*"
_EMAIL = rf"[^\s@<>()\[\]\\,;:\"]+@{_LABEL}(\.{_LABEL})*"
_URI = r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x20<>\"\\^`{|}]+"
_DAY = r"\d{4}-\d{2}-\d{2}"
_CLOCK = r"\d{2}:\d{2}:\d{2}(\.\d+)?"
_OFFSET = r"([Zz]|[+-]\d{2}:\d{2})"
_BASE64 = "([A-Za-z0-9{0}]{{4}})*([A-Za-z0-9{0}]{{2}}==|[A-Za-z0-9{0}]{{3}}=)?"
_FORMATS: dict[str, Any] = {
    "base64": _matching(_BASE64.format("+/")),
    "base64url": _matching(_BASE64.format("_-")),
    "byte": _matching(_BASE64.format("+/")),
    "date-time": _matching(f"{_DAY}[Tt]{_CLOCK}{_OFFSET}"),
    "decimal": _matching(r"-?\d+(\.\d+)?"),
    "duration": _matching(r"P(?!$)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?)"),
    "email": _matching(_EMAIL),
    "fraction": _matching(r"-?\d+(/\d+)?"),
    "hostname": _matching(r"[A-Za-z0-9](-?[A-Za-z0-9])*(\.[A-Za-z0-9](-?[A-Za-z0-9])*)*"),
    "ipv4network": _matching(r"\d+(\.\d+){3}/\d+"),
    "idn-email": _matching(_EMAIL),
    "iri": _matching(_URI),
    "iri-reference": _matching(r"[^\s<>\"\\^`{|}]*"),
    "time": _matching(f"{_CLOCK}{_OFFSET}?|\\d{{2}}:\\d{{2}}"),
    "uri": _matching(_URI),
    "uri-reference": _matching(r"[^\s<>\"\\^`{|}]*"),
    "url": _matching(_URI),
}
"""Formats that the package checks loosely, only with further packages, or not at all."""


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    r"""Checks `pattern` as ECMA-262 has it, where `\w` and `\d` are of ASCII."""
    if isinstance(value, str) and not re.search(pattern, value, re.ASCII):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def judge_of(schema: dict[str, Any]) -> Callable[[str], bool | None]:
    """Returns a function that tells whether a JSON text is valid against a schema.

    The function returns None where the package cannot tell, such as for a reference to another
    document.
    """
    exact = _exact(json.dumps(schema))
    default = Draft4Validator if _has_flags(schema) else Draft202012Validator
    kind = validator_for(exact, default=default)
    checker = FormatChecker(kind.FORMAT_CHECKER.checkers)
    checker.checkers = {**checker.checkers, **_FORMATS}
    extended: Any = extend
    validator = extended(kind, {"pattern": _pattern})(exact, format_checker=checker)

    def is_valid(text: str) -> bool | None:
        try:
            with localcontext() as context:
                context.prec = _PRECISION
                return bool(validator.is_valid(_exact(text)))
        except ValueError:
            return False
        except Exception:  # Of any kind: a pattern of another dialect, a reference that is missing.
            return None

    return is_valid


def _exact(text: str) -> Any:
    return json.loads(text, parse_float=_number, parse_constant=_refused)


def _number(text: str) -> int | Decimal:
    value = Decimal(text)
    return int(value) if value == value.to_integral_value() else value


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _has_flags(value: Any) -> bool:
    """Whether a schema has exclusive bounds that are true or false, as in draft 4."""
    if isinstance(value, list):
        return any(map(_has_flags, value))
    if not isinstance(value, dict):
        return False
    flags = (value.get("exclusiveMinimum"), value.get("exclusiveMaximum"))
    return any(isinstance(flag, bool) for flag in flags) or any(map(_has_flags, value.values()))
