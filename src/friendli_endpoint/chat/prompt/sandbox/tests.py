"""Jinja's tests: those that compare or compute measure their operands first."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from jinja2 import Environment, pass_environment, tests

from friendli_endpoint.chat.prompt.sandbox.filters import metered
from friendli_endpoint.chat.prompt.sandbox.operators import compare, number
from friendli_endpoint.chat.prompt.sandbox.values import as_text, measure

__all__ = ["CONSTANT_TESTS", "TESTS"]

_COMPARING = {
    "eq": "== eq equalto",
    "ne": "!= ne",
    "gt": "> gt greaterthan",
    "gteq": ">= ge",
    "lt": "< lt lessthan",
    "lteq": "<= le",
    "in": "in",
}
_NUMERIC = ("divisibleby", "even", "odd")
_TEXTUAL = ("lower", "upper")
_LOOKING_UP = ("filter", "test")
CONSTANT_TESTS = tuple(
    "boolean callable defined escaped false float integer iterable mapping none number sameas "
    "sequence string true undefined".split()
)
"""Tests that look only at the type, the identity or the length of a value."""


def _comparing(name: str) -> Callable[..., Any]:
    return metered(lambda left, right: compare(left, name, right), creates=False)


def _numeric(name: str) -> Callable[..., Any]:
    test: Any = tests.TESTS[name]
    return metered(lambda *values: test(*map(number, values)), creates=False)


def _textual(name: str) -> Callable[..., Any]:
    test: Any = tests.TESTS[name]
    return metered(lambda value: test(as_text(value)), creates=False)


def _looking_up(name: str) -> Callable[..., Any]:
    test: Any = tests.TESTS[name]

    @pass_environment
    def run(environment: Environment, value: Any) -> Any:
        measure(value)
        return test(environment, value)

    return metered(run, creates=False)


_JINJA: Mapping[str, Any] = tests.TESTS

TESTS: Final[Mapping[str, Callable[..., Any]]] = {
    **{name: _comparing(kind) for kind, names in _COMPARING.items() for name in names.split()},
    **{name: _numeric(name) for name in _NUMERIC},
    **{name: _textual(name) for name in _TEXTUAL},
    **{name: _looking_up(name) for name in _LOOKING_UP},
    **{name: _JINJA[name] for name in CONSTANT_TESTS},
}
