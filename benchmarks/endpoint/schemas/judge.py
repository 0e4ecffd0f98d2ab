"""Verdicts of the jsonschema package, which counts decimals exactly."""

import json
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

from jsonschema import Draft4Validator, Draft202012Validator
from jsonschema.validators import validator_for

__all__ = ["judge_of"]

_PRECISION = 400
"""Digits of remainders; a number of generated JSON has at most 40 digits and 10^99 as a factor."""


def judge_of(schema: dict[str, Any]) -> Callable[[str], bool | None]:
    """Returns a function that tells whether a JSON text is valid against a schema.

    The function returns None where the package cannot tell, such as for a reference to another
    document.
    """
    exact = _exact(json.dumps(schema))
    default = Draft4Validator if _has_flags(schema) else Draft202012Validator
    kind = validator_for(exact, default=default)
    validator = kind(exact, format_checker=kind.FORMAT_CHECKER)

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
